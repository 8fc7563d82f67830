/** Host to app; pure, replaced a piece at a time as the registry changes. */
import { toHostName } from "./host.ts";

export class Routes<App> {
  readonly #hosts = new Map<string, App>();
  /** `*.example.com` by `example.com`. */
  readonly #wildcards = new Map<string, App>();
  /** By `name.localhost`. */
  readonly #names = new Map<string, App>();

  /** `name` answers at name.localhost; `hosts` are whole names, or `*.example.com` for one label below it. */
  add(name: string, hosts: readonly string[], app: App): void {
    this.#names.set(`${name}.localhost`, app);
    for (const host of hosts) {
      const key = toHostName(host);
      if (key.startsWith("*.")) this.#wildcards.set(key.slice(2), app);
      else this.#hosts.set(key, app);
    }
  }

  /** Takes out what belongs to this app; a host that another one has got by now stays. */
  remove(name: string, hosts: readonly string[], app: App): void {
    drop(this.#names, `${name}.localhost`, app);
    for (const host of hosts) {
      const key = toHostName(host);
      if (key.startsWith("*.")) drop(this.#wildcards, key.slice(2), app);
      else drop(this.#hosts, key, app);
    }
  }

  /** The app that a Host header names. An exact domain beats a wildcard, which beats name.localhost. */
  find(hostHeader: string): App | undefined {
    const host = toHostName(hostHeader);
    return this.#hosts.get(host) ?? this.#findBelow(host) ?? this.#names.get(host);
  }

  #findBelow(host: string): App | undefined {
    if (this.#wildcards.size === 0) return undefined;
    const dot = host.indexOf(".");
    return dot < 0 ? undefined : this.#wildcards.get(host.slice(dot + 1));
  }
}

function drop<App>(routes: Map<string, App>, key: string, app: App): void {
  if (routes.get(key) === app) routes.delete(key);
}
