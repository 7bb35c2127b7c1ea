"""Invented names for guests of data sets that name nobody: plausible where the guest comes from.

The names are common given and family names put together by a number, so that the same number always
gives the same person; none of them stands for anybody.
"""

from __future__ import annotations

import hashlib

# ISO 3166 alpha-3 → alpha-2 of the countries met in the booking data; some rows carry alpha-2 already.
COUNTRIES: dict[str, str] = {
    "AGO": "AO",
    "ALB": "AL",
    "AND": "AD",
    "ARE": "AE",
    "ARG": "AR",
    "ARM": "AM",
    "AUS": "AU",
    "AUT": "AT",
    "AZE": "AZ",
    "BDI": "BI",
    "BEL": "BE",
    "BGR": "BG",
    "BHR": "BH",
    "BHS": "BS",
    "BIH": "BA",
    "BLR": "BY",
    "BRA": "BR",
    "BWA": "BW",
    "CAF": "CF",
    "CHE": "CH",
    "CHL": "CL",
    "CHN": "CN",
    "CIV": "CI",
    "CMR": "CM",
    "COL": "CO",
    "COM": "KM",
    "CPV": "CV",
    "CRI": "CR",
    "CUB": "CU",
    "CYM": "KY",
    "CYP": "CY",
    "CZE": "CZ",
    "DEU": "DE",
    "DJI": "DJ",
    "DNK": "DK",
    "DOM": "DO",
    "DZA": "DZ",
    "ECU": "EC",
    "EGY": "EG",
    "ESP": "ES",
    "EST": "EE",
    "FIN": "FI",
    "FJI": "FJ",
    "FRA": "FR",
    "GBR": "GB",
    "GEO": "GE",
    "GGY": "GG",
    "GIB": "GI",
    "GRC": "GR",
    "HKG": "HK",
    "HRV": "HR",
    "HUN": "HU",
    "IDN": "ID",
    "IND": "IN",
    "IRL": "IE",
    "IRN": "IR",
    "ISL": "IS",
    "ISR": "IL",
    "ITA": "IT",
    "JAM": "JM",
    "JEY": "JE",
    "JOR": "JO",
    "JPN": "JP",
    "KAZ": "KZ",
    "KOR": "KR",
    "KWT": "KW",
    "LBN": "LB",
    "LKA": "LK",
    "LTU": "LT",
    "LUX": "LU",
    "LVA": "LV",
    "MAC": "MO",
    "MAR": "MA",
    "MDG": "MG",
    "MDV": "MV",
    "MEX": "MX",
    "MKD": "MK",
    "MLT": "MT",
    "MOZ": "MZ",
    "MUS": "MU",
    "MWI": "MW",
    "MYS": "MY",
    "NGA": "NG",
    "NLD": "NL",
    "NOR": "NO",
    "NPL": "NP",
    "NZL": "NZ",
    "OMN": "OM",
    "PAK": "PK",
    "PER": "PE",
    "PHL": "PH",
    "PLW": "PW",
    "POL": "PL",
    "PRI": "PR",
    "PRT": "PT",
    "QAT": "QA",
    "ROU": "RO",
    "RUS": "RU",
    "SAU": "SA",
    "SEN": "SN",
    "SGP": "SG",
    "SMR": "SM",
    "SRB": "RS",
    "SUR": "SR",
    "SVK": "SK",
    "SVN": "SI",
    "SWE": "SE",
    "SYC": "SC",
    "SYR": "SY",
    "TGO": "TG",
    "THA": "TH",
    "TUN": "TN",
    "TUR": "TR",
    "TWN": "TW",
    "UGA": "UG",
    "UKR": "UA",
    "URY": "UY",
    "USA": "US",
    "UZB": "UZ",
    "VEN": "VE",
    "VNM": "VN",
    "ZAF": "ZA",
    "ZMB": "ZM",
    "ZWE": "ZW",
}

# Women's given names, men's given names, family names.
_NAMES: dict[str, tuple[str, str, str]] = {
    "pt": (
        "Maria Ana Inês Beatriz Joana Catarina Mariana Sofia Rita Leonor Teresa Helena Carla Susana",
        "João Pedro Miguel Tiago Rui Luís Carlos António Francisco Nuno Paulo Ricardo André Duarte",
        (
            "Silva Santos Ferreira Pereira Oliveira Costa Rodrigues Martins Sousa Fernandes Gonçalves Gomes Lopes "
            "Marques Alves Almeida Ribeiro Pinto Carvalho Teixeira Moreira Correia Mendes Nunes Soares Vieira Monteiro "
            "Cardoso Rocha Neves"
        ),
    ),
    "es": (
        "María Carmen Laura Lucía Marta Paula Elena Cristina Sara Isabel Rosa Pilar Andrea Julia",
        "José Antonio Javier Manuel Carlos David Daniel Francisco Alejandro Pablo Sergio Álvaro Luis Jorge",
        (
            "García González Rodríguez Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Ruiz Hernández Díaz "
            "Moreno Muñoz Álvarez Romero Alonso Gutiérrez Navarro Torres Domínguez Vázquez Ramos Gil Serrano Molina "
            "Castro Ortega"
        ),
    ),
    "en": (
        "Olivia Emily Sarah Emma Charlotte Jessica Hannah Lucy Sophie Grace Alice Rachel Claire Helen",
        "James Thomas William Daniel Jack George Oliver Harry Matthew Samuel David Andrew Peter Michael",
        (
            "Smith Jones Taylor Brown Williams Wilson Johnson Davies Robinson Wright Thompson Evans Walker White Roberts "
            "Green Hall Wood Jackson Clarke Hughes Edwards Turner Murphy Kelly Byrne Ryan Walsh Campbell Stewart"
        ),
    ),
    "fr": (
        "Marie Camille Léa Manon Chloé Julie Sophie Claire Céline Émilie Nathalie Isabelle Anne Pauline",
        "Jean Pierre Nicolas Thomas Julien Antoine Alexandre Lucas Hugo Mathieu François Philippe Olivier Louis",
        (
            "Martin Bernard Dubois Thomas Robert Richard Petit Durand Leroy Moreau Simon Laurent Lefebvre Michel Garcia "
            "David Bertrand Roux Vincent Fournier Morel Girard André Mercier Dupont Lambert Bonnet François Martinez Legrand"
        ),
    ),
    "de": (
        "Anna Lena Julia Katharina Sabine Claudia Petra Monika Laura Sarah Christine Andrea Ursula Eva",
        "Lukas Jonas Felix Maximilian Thomas Michael Andreas Stefan Markus Peter Wolfgang Jürgen Hans Klaus",
        (
            "Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter Klein Wolf "
            "Schröder Neumann Schwarz Zimmermann Braun Krüger Hofmann Hartmann Lange Werner Krause Lehmann Maier Köhler König"
        ),
    ),
    "nl": (
        "Emma Sanne Lotte Anouk Femke Eva Lisa Marieke Iris Fleur Anna Julia Saskia Ingrid",
        "Daan Bram Sem Lars Thijs Jeroen Pieter Willem Hendrik Joost Maarten Ruben Tim Koen",
        (
            "de Jong|Jansen|de Vries|van den Berg|van Dijk|Bakker|Visser|Smit|Meijer|de Boer|Mulder|de Groot|Bos|Vos|"
            "Peters|Hendriks|van Leeuwen|Dekker|Brouwer|de Wit|Dijkstra|Smits|de Graaf|van der Meer|Kok|Jacobs|Vermeulen|"
            "van der Linden|Maes|Claes"
        ),
    ),
    "it": (
        "Giulia Francesca Chiara Sara Martina Elena Valentina Alessia Federica Anna Laura Silvia Paola Lucia",
        "Marco Andrea Alessandro Luca Matteo Lorenzo Francesco Davide Giuseppe Antonio Stefano Simone Paolo Giovanni",
        (
            "Rossi Russo Ferrari Esposito Bianchi Romano Colombo Ricci Marino Greco Bruno Gallo Conti Costa Giordano "
            "Mancini Rizzo Lombardi Moretti Barbieri Fontana Santoro Mariani Rinaldi Caruso Ferrara Galli Martini Leone Longo"
        ),
    ),
    "no": (
        "Ingrid Astrid Emma Maja Freja Linnea Sofie Elsa Karin Kirsten Hanna Aino Johanna Signe",
        "Lars Erik Anders Johan Oskar Magnus Mikkel Henrik Olav Karl Nils Jens Mikko Antti",
        (
            "Hansen Johansson Andersson Nielsen Jensen Larsen Olsen Karlsson Nilsson Eriksson Pedersen Andersen Kristensen "
            "Berg Haugen Lindberg Lindström Bergström Korhonen Virtanen Mäkinen Nieminen Dahl Lund Holm Sørensen Rasmussen "
            "Persson Svensson Gustafsson"
        ),
    ),
    "pl": (
        "Anna Katarzyna Magdalena Joanna Agnieszka Ewa Monika Elena Irina Olga Natalia Ioana Petra Jana",
        "Piotr Krzysztof Tomasz Andrei Dmitri Alexander Mihai Ivan Pavel Marek Jan Michal Viktor Sergei",
        (
            "Nowak Kowalski Wójcik Kamiński Lewandowski Zieliński Popescu Ionescu Popa Ivanov Petrov Volkov Horváth Nagy "
            "Kovács Novák Dvořák Černý Svoboda Kučera Kazlauskas Bērziņš Tamm Kask Shevchenko Bondarenko Melnyk Marković "
            "Horvat Babić"
        ),
    ),
    "zh": (
        "秀英 敏 静 丽 艳 娟 芳 雨桐 欣怡 梓涵 思琪 佳怡 晓燕 雪梅",
        "伟 强 磊 军 勇 杰 涛 浩然 宇轩 子豪 俊杰 志强 建国 明",
        "王 李 张 刘 陈 杨 赵 黄 周 吴 徐 孙 胡 朱 高 林 何 郭 马 罗 梁 宋 郑 谢 韩 唐 冯 于 董 萧",
    ),
}
_COUNTRIES_OF_AREA = {
    "pt": "PT BR AO MZ CV",
    "es": "ES MX AR CO CL PE VE EC UY CR CU DO PR AD",
    "fr": "FR LU MC CI SN CM TG CF MG KM BI DJ TN DZ MA",
    "de": "DE AT CH",
    "nl": "NL BE SR",
    "it": "IT SM",
    "no": "NO SE DK FI IS",
    "pl": "PL RU RO HU CZ SK UA LT LV EE BY BG RS HR SI MK BA AL KZ UZ AM AZ GE",
    "zh": "CN HK MO TW SG",
}
_AREAS = {country: area for area, countries in _COUNTRIES_OF_AREA.items() for country in countries.split()}


def invent_name(seed: str, country: str) -> tuple[str, str]:
    """A person of a country (ISO 3166 alpha-2, may be empty) as (name, gender), always the same for a seed."""
    area = _AREAS.get(country, "en")
    women, men, families = _NAMES[area]
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8])
    gender = ("female", "male")[number % 2]
    given_names = (women, men)[number % 2].split()
    family_names = families.split("|") if "|" in families else families.split()
    given = given_names[(number >> 8) % len(given_names)]
    family = family_names[(number >> 24) % len(family_names)]
    return (f"{family}{given}" if area == "zh" else f"{given} {family}"), gender
