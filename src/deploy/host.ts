import { NinesError } from "../std/errors.ts";

const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/** A domain that a route may have, in lower case without the last dot. Throws `invalid`. */
export function parseHost(text: string): string {
  const host = text.trim().toLowerCase().replace(/\.$/, "");
  const refuse = (why: string) => {
    throw new NinesError("invalid", `"${text.slice(0, 100)}" is not a domain: ${why}`, {
      hint: "write the host name alone, as in shop.example.com",
    });
  };
  if (host === "" || host.length > 253) refuse("expected 1 to 253 characters");
  if (/^[a-z]+:\/\//.test(host) || host.includes("/")) refuse("found a URL");
  if (host.includes(":")) refuse("found a port");
  if (!host.split(".").every((part) => label.test(part))) {
    refuse('expected letters, digits and "-" between the dots (punycode for others)');
  }
  if (/^[\d.]+$/.test(host)) refuse("found an address");
  if (host === "localhost" || host.endsWith(".localhost")) {
    refuse("every app answers at APP.localhost already; that name is the platform's");
  }
  return host;
}
