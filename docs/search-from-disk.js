// A page that was opened from the disk may start no worker: its search runs in a frame instead.
if (location.protocol === "file:") {
  const load = (frame, address) => new Promise((resolve, reject) => {
    const script = frame.document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = reject;
    frame.document.head.append(script);
  });
  window.IFrameWorker = window.Worker = class extends EventTarget { // the theme looks for the first name
    constructor(address) {
      super();
      const element = document.createElement("iframe");
      element.hidden = true;
      document.body.append(element);
      this.frame = element.contentWindow;
      this.frame.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.frame.importScripts = async (...addresses) => {
        for (const one of addresses) await load(this.frame, one);
      };
      this.ready = load(this.frame, address);
    }

    async postMessage(data) {
      await this.ready;
      this.frame.dispatchEvent(new MessageEvent("message", { data }));
    }
  };
}
