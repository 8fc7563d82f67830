/** Where the router deviates from the suites of others, and why. */

/** What is refused and others take, by the reason that the router gives. */
export const stricter: ReadonlyMap<string, string> = new Map([
  [
    "unsupported Transfer-Encoding",
    "chunked alone passes: codings before it, parameters and lists are where readers disagree on a body's end",
  ],
  [
    "malformed target",
    "a fragment, user information, an authority outside CONNECT and bytes beyond ASCII are read in several ways",
  ],
  ["malformed Host header", "a name or address and a port, for it decides which app gets the request"],
  ["Host differs from the target", "two hosts in one request route it to two apps"],
  [
    "malformed header line",
    "line feeds alone, and folded lines, end a head in one reader and not in another",
  ],
  ["malformed request line", "RTSP, ICE and the bytes behind an upgrade that was not taken are not HTTP/1"],
  ["malformed status line", "a line feed alone does not end a line"],
  ["unknown HTTP version", "HTTP/1.0 and HTTP/1.1; an empty line before an answer is no answer"],
  ["duplicate Host header", "two hosts in one request route it to two apps"],
  [
    "both Transfer-Encoding and Content-Length",
    "the one means to hide a request from those who read the other",
  ],
  ["malformed chunk", "size lines and ends of chunks are as the standard says them"],
]);

const anyMethod = "any method passes: which ones there are is the app's to say (Heroku's rule)";

/** What passes and others refuse, by name. */
export const laxer: ReadonlyMap<string, string> = new Map([
  ["request/invalid.md: HTTP protocol and ANNOUNCE method", anyMethod],
  ["request/invalid.md: Invalid method", anyMethod],
]);
