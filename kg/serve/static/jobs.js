// How far a job is, looked up every second in the page itself; when it has ended the page is loaded again. Without this
// file "Look again" does the same.
"use strict";
(() => {
  const running = document.getElementById("running");
  if (!running) return;
  const look = async () => {
    let now = running;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      now = page.getElementById("running");
    } catch {
      return setTimeout(look, 5000); // the service is busy, or begins again
    }
    if (!now || now.dataset.job !== running.dataset.job) return location.assign("/model");
    if (now.innerHTML !== running.innerHTML) running.replaceChildren(...now.childNodes);
    setTimeout(look, 1000);
  };
  setTimeout(look, 1000);
})();
