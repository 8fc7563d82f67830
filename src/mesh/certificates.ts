/** Which certificate a client is shown: by the name that it asks for (SNI). */
import tls from "node:tls";
import { toError } from "../std/errors.ts";

/** Both as PEM; the certificate with those that lead to its root behind it. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

interface Known {
  readonly from: Certificate;
  readonly context: tls.SecureContext;
}

export class Certificates {
  #known = new Map<string, Known>();

  /**
   * Replaces all that is known, for the connections to come; those there are stay as they are. One that cannot
   * be used is reported, and what was there for its host stays.
   */
  set(certificates: ReadonlyMap<string, Certificate>, onBad: (host: string, reason: string) => void): void {
    const next = new Map<string, Known>();
    for (const [host, from] of certificates) {
      const name = host.toLowerCase();
      const known = this.#known.get(name);
      if (known !== undefined && known.from.cert === from.cert && known.from.key === from.key) {
        next.set(name, known);
        continue;
      }
      try {
        next.set(name, { from, context: tls.createSecureContext({ ...from, minVersion: "TLSv1.2" }) });
      } catch (error) {
        onBad(host, toError(error).message);
        if (known !== undefined) next.set(name, known);
      }
    }
    this.#known = next;
  }

  /** That of the name, of the wildcard above it, or, for a name that nobody has, any: the client will judge. */
  find(name: string): tls.SecureContext | undefined {
    const asked = name.toLowerCase();
    const wildcard = `*.${asked.slice(asked.indexOf(".") + 1)}`;
    const known = this.#known.get(asked) ?? this.#known.get(wildcard) ?? this.#known.values().next().value;
    return known?.context;
  }
}
