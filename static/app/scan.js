/* Reading a QR code with the camera, where the browser knows how; elsewhere the code is typed. */
(function () {
  "use strict";
  const canScan = "BarcodeDetector" in window && navigator.mediaDevices && navigator.mediaDevices.getUserMedia;
  if (!canScan) return;
  const PAUSE_MS = 150;
  let stream = null;

  const offer = (root) => root.querySelectorAll("[data-scan-start]").forEach((button) => { button.hidden = false; });

  function stop() {
    if (stream) for (const track of stream.getTracks()) track.stop();
    stream = null;
  }

  async function scan(box) {
    const status = box.querySelector("[data-scan-status]");
    const view = box.querySelector("[data-scan-view]");
    const video = view.querySelector("video");
    const input = box.querySelector("input");
    stop();
    let mine;
    try {
      const detector = new window.BarcodeDetector({ formats: ["qr_code"] });
      mine = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
      stream = mine;
      video.srcObject = mine;
      view.hidden = false;
      status.textContent = status.dataset.looking;
      await video.play();
      while (stream === mine && box.isConnected) {
        const found = await detector.detect(video);
        if (found.length) {
          input.value = found[0].rawValue.slice(0, input.maxLength);
          stop();
          view.hidden = true;
          status.textContent = "";
          input.form.requestSubmit();
          return;
        }
        await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
      }
    } catch {
      status.textContent = status.dataset.denied;
      view.hidden = true;
      input.focus();
    }
    // The dialog went away, or another scan began.
    if (mine) for (const track of mine.getTracks()) track.stop();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-scan-start]");
    if (button) scan(button.closest("[data-scan]"));
  });
  document.addEventListener("close", stop, true);
  window.addEventListener("pagehide", stop);
  offer(document);
  document.body.addEventListener("htmx:afterSwap", (event) => offer(event.detail.target));
})();
