/** What a browser has for server-sent events, as far as OpenFeature's client for browsers uses it. */
export class EventSource extends EventTarget {
  static readonly CLOSED = 2;
  readyState = 0;
  readonly #gone = new AbortController();

  constructor(url: string) {
    super();
    void this.#read(url);
  }

  close(): void {
    this.readyState = EventSource.CLOSED;
    this.#gone.abort();
  }

  async #read(url: string): Promise<void> {
    while (!this.#gone.signal.aborted) {
      try {
        // Without a header: browsers send none of one's own here.
        const response = await fetch(url, { signal: this.#gone.signal });
        if (!response.ok || response.body === null) throw new Error(`status ${response.status}`);
        this.readyState = 1;
        this.dispatchEvent(new Event("open"));
        let text = "";
        for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
          const events = (text + chunk).split("\n\n");
          text = events.pop() ?? "";
          for (const event of events) this.#tell(event);
        }
      } catch {
        if (this.#gone.signal.aborted) return;
      }
      this.readyState = 0;
      this.dispatchEvent(new Event("error"));
      await Bun.sleep(100);
    }
  }

  #tell(event: string): void {
    const data = /^data: (.*)$/m.exec(event)?.[1];
    if (data !== undefined) this.dispatchEvent(new MessageEvent("message", { data }));
  }
}
