/** Files of certificates in a home's `certs` folder: what a host's are called, and whose a file is. */

/** `*.example.com` is `_.example.com` on disk, where a star means other things. */
export function toCertName(host: string): string {
  return host.toLowerCase().replace(/^\*\./, "_.");
}

export function toCertHost(name: string): string {
  return name.replace(/^_\./, "*.");
}

/** A DNS name, or `*.` and one. */
export function isCertHost(host: string): boolean {
  return (
    /^(?:\*\.)?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*$/i.test(host) &&
    host.length <= 253
  );
}
