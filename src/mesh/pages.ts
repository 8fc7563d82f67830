/** What the router itself answers: small pages, the same for every app. */
import { type MeshCode, meshErrors } from "./errors.ts";

export interface Page {
  readonly status: number;
  readonly reason: string;
  readonly body: string;
  readonly retryAfter: number;
  /** Where to go instead. */
  readonly location?: string;
}

const reasons: Readonly<Record<number, string>> = {
  301: "Moved Permanently",
  308: "Permanent Redirect",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  417: "Expectation Failed",
  499: "Client Closed Request",
  502: "Bad Gateway",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

const texts: Partial<Record<MeshCode, readonly [title: string, text: string]>> = {
  H11: ["Too many requests at once", "This app has more requests than it can take. Try again in a moment."],
  H22: ["Too many connections", "This router has all the connections it can hold. Try again in a moment."],
  H80: ["Offline for maintenance", "This app is down on purpose. It will be back."],
  H81: ["Nothing here yet", "This app was created, and nothing has been deployed to it."],
  H99: ["Platform error", "The platform failed to handle this request. The app is not at fault."],
};

/** The page for a code. */
export function toErrorPage(code: MeshCode): Page {
  const { status, retryAfter, desc } = meshErrors[code];
  const [title, text] = texts[code] ?? [
    "Application error",
    `The app did not answer as it should (${code}: ${desc}). If it is yours, its logs say more.`,
  ];
  return toPage(status, title, text, retryAfter);
}

/** A page with a status of its own. */
export function toPage(status: number, title: string, text: string, retryAfter = 0): Page {
  return {
    status,
    reason: reasons[status] ?? "Error",
    retryAfter,
    body: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;padding:0 1rem;color:#222}h1{font-size:1.4rem}</style></head>
<body><h1>${title}</h1><p>${text}</p></body></html>
`,
  };
}

/** The same address with TLS, at this port; a method other than GET and HEAD has to stay what it is. */
export function toSecurePage(method: string, host: string, path: string, port: number): Page {
  const name = host.replace(/:\d+$/, "");
  const location = `https://${name}${port === 443 ? "" : `:${port}`}${path.startsWith("/") ? path : "/"}`;
  const status = method === "GET" || method === "HEAD" ? 301 : 308;
  return { ...toPage(status, "Moved", "This app wants its requests with TLS."), location };
}

export const noSuchApp: Page = toPage(404, "No such app", "There is no app at this address.");
export const connectRefused: Page = toPage(405, "Method not allowed", "CONNECT is not possible here.");
