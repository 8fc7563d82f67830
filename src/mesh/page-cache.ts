/**
 * Apps' own pages for errors and for maintenance, fetched when an app first names them, and kept: no request
 * ever waits for one. Until a page is here, and when it cannot be had, the router's own stands in.
 */
import { type Backoff, toDelayMs } from "../std/backoff.ts";
import type { Clock } from "../std/clock.ts";
import type { Routing } from "../wire/records.ts";
import type { MeshCode } from "./errors.ts";
import { type Page, toErrorPage } from "./pages.ts";

/** Gets a page's HTML; rejects when it cannot be had, or has more bytes than are kept. */
export type FetchPage = (url: string, bytesMax: number) => Promise<string>;

export const pageBytesMax = 65_536;
/** Pages kept at once; one that is named beyond that is not fetched. */
const pageCount = 512;
const again: Backoff = { baseMs: 5_000, capMs: 600_000, jitter: 0.5 };

/** What is nobody's fault, or the platform's, is said by the platform. */
const own: ReadonlySet<MeshCode> = new Set(["H26", "H27", "H28", "H81", "H99"]);

interface Entry {
  html: string | null;
  readonly apps: Set<string>;
  retry: Disposable | null;
}

export class PageCache implements Disposable {
  readonly #fetch: FetchPage;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #entries = new Map<string, Entry>();
  /** Only apps that name a page. */
  readonly #wanted = new Map<string, readonly string[]>();

  constructor(fetch: FetchPage, clock: Clock, random: () => number) {
    this.#fetch = fetch;
    this.#clock = clock;
    this.#random = random;
  }

  /** Takes note of what an app names now; undefined when there is no such app. */
  want(app: string, routing: Routing | undefined): void {
    const urls = [routing?.errorPageUrl, routing?.maintenancePageUrl].filter((url) => url !== undefined);
    for (const url of this.#wanted.get(app) ?? []) {
      const entry = this.#entries.get(url);
      if (urls.includes(url) || entry === undefined) continue;
      entry.apps.delete(app);
      if (entry.apps.size > 0) continue;
      entry.retry?.[Symbol.dispose]();
      this.#entries.delete(url);
    }
    if (urls.length === 0) this.#wanted.delete(app);
    else this.#wanted.set(app, urls);
    for (const url of urls) {
      const known = this.#entries.get(url);
      if (known !== undefined) known.apps.add(app);
      else if (this.#entries.size < pageCount) {
        const entry: Entry = { html: null, apps: new Set([app]), retry: null };
        this.#entries.set(url, entry);
        this.#load(url, entry, 0);
      }
    }
  }

  /** The page for a code: the app's own when it has one for it and it is here. */
  toPage(code: MeshCode, routing: Routing | undefined): Page {
    const page = toErrorPage(code);
    if (routing === undefined || own.has(code)) return page;
    const url = code === "H80" ? routing.maintenancePageUrl : routing.errorPageUrl;
    const html = url === undefined ? null : (this.#entries.get(url)?.html ?? null);
    return html === null ? page : { ...page, body: html };
  }

  [Symbol.dispose](): void {
    for (const { retry } of this.#entries.values()) retry?.[Symbol.dispose]();
    this.#entries.clear();
    this.#wanted.clear();
  }

  #load(url: string, entry: Entry, attempt: number): void {
    entry.retry = null;
    this.#fetch(url, pageBytesMax).then(
      (html) => {
        entry.html = html;
      },
      () => {
        if (this.#entries.get(url) !== entry) return;
        const delayMs = toDelayMs(again, attempt, this.#random());
        entry.retry = this.#clock.after(delayMs, () => this.#load(url, entry, attempt + 1));
      },
    );
  }
}
