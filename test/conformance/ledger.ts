/**
 * Where each known trap, and each case of the suites of vegur (Heroku's router), is tested: a file, and words of
 * the test in it. `not: …` says why a case has none.
 */
type Where = readonly [file: string, words: string] | `not: ${string}`;

const mesh = (file: string, words: string): Where => [`src/mesh/${file}.test.ts`, words];
const here = (words: string): Where => ["test/conformance/vegur.test.ts", words];
const own = "an app's own errors pass untouched";
const fuzzed: Where = ["test/conformance/fuzz.test.ts", "a second reader, h11"];
const matrix = here("body, client says ");
const refusals = mesh("mesh", "refusals have Heroku's codes");
const bodyless = mesh("mesh", "answers without a body end with their head");
const bodylessClosing = here("an answer without a body that closes");
const wholeBodies = mesh("mesh", "bodies of any size and kind arrive whole");
const until = mesh("mesh", "an answer that ends with its connection passes");
const interim = mesh("mesh", "interim answers pass, and 100 is the router's to say");
const oldClient = mesh("mesh", "a client of HTTP/1.0 gets no chunks");
const cut = mesh("exchange", "an answer that breaks off cuts the client");
const lines = mesh("mesh", "a request arrives with the router's lines");

export const traps: Readonly<Record<string, Where>> = {
  "duplicate Host": mesh("request-head", "two hosts"),
  "empty Host": mesh("request-head", "an empty host"),
  "Host with userinfo": mesh("request-head", "a host with user information"),
  "Host with a path": mesh("request-head", "a host with a path"),
  "Host with a comma": mesh("request-head", "a list of hosts"),
  "GET *": mesh("request-head", "GET *"),
  "empty Transfer-Encoding": mesh("request-head", "an empty encoding"),
  "non-ASCII target": mesh("request-head", "a target beyond ASCII"),
  "headers named in Connection": mesh("request-head", "and those that Connection names, stay here"),
  "bare LF": mesh("request-head", "a bare line feed after a header"),
  "obs-fold": mesh("request-head", "a folded header"),
  "space before the colon": mesh("request-head", "a space before the colon"),
  "chunk extensions without end": mesh("body", "an extension without end"),
  "differing Content-Lengths": mesh("request-head", "differing lengths"),
  "TE with CL": mesh("request-head", "a length and chunks"),
  "HTTP/1.0 with TE": mesh("request-head", "chunks in HTTP/1.0"),
  "1xx before the final response": interim,
  "HEAD, 204 and 304 bodies": bodyless,
  "responses without a reason phrase": mesh("response-head", "a missing reason is taken"),
};

export const vegur: Readonly<Record<string, Readonly<Record<string, Where>>>> = {
  continue: {
    back_and_forth: interim,
    body_timeout: here("a client that was told to continue and does not is H28"),
    non_terminal: interim,
    continue_upgrade_httpbis: here("an upgrade may expect 100, and is answered 101"),
    upgrade_no_continue: mesh("tunnel", "bytes sent before the answer, and right behind it, arrive"),
    terminal_no_continue_partial: mesh("exchange", "an answer before the body is whole reaches the client"),
    terminal_no_continue_complete: mesh("exchange", "an answer before the body is whole reaches the client"),
    no_expect_continue: interim,
    http_1_0_continue: here("a client of HTTP/1.0 that expects 100 gets none"),
    unknown_expect: here("what is no expectation"),
    bad_syntax_expect: here("two expectations"),
    bypass: "not: the router says 100 itself, always",
  },
  headers: {
    duplicate_different_lengths_req: mesh("request-head", "differing lengths"),
    duplicate_different_lengths_resp: mesh("response-head", "differing lengths"),
    duplicate_csv_lengths_req: mesh("request-head", "a list of lengths"),
    duplicate_csv_lengths_resp: mesh("response-head", "a list of lengths"),
    duplicate_identical_lengths_req: mesh("request-head", "twice the same length"),
    duplicate_identical_lengths_resp: ["test/conformance/garden.test.ts", "the length said twice"],
    delete_hop_by_hop: mesh("response-head", "hop-by-hop headers"),
    response_cookie_limits: mesh("response-head", "a cookie of more than 8 KiB"),
    response_header_line_limits: mesh("response-head", "a head of more than 512 KiB"),
    response_status_limits: mesh("response-head", "a status line of more than 8 KiB"),
    via: lines,
    via_chain: here("Via is a chain"),
    bad_status: mesh("response-head", "a status of letters"),
    preserve_case: mesh("request-head", "case and order of the other headers are kept"),
    header_order: mesh("request-head", "case and order of the other headers are kept"),
    host_nofold: mesh("request-head", "a folded header"),
    host_conflict: mesh("request-head", "another host in the target"),
  },
  http_1_0: {
    advertise_1_1: mesh("request-head", "an instance hears HTTP/1.1 from a client of HTTP/1.0"),
    conn_close_default: oldClient,
    conn_keepalive_opt: mesh("mesh", "a client of HTTP/1.0 may keep its connection"),
    chunked_to_1_0: oldClient,
  },
  chunked: {
    passthrough: wholeBodies,
    passthrough_short_crlf: mesh("body", "however it is cut"),
    passthrough_early_0length: here("a chunked answer with an empty chunk among others"),
    passthrough_partial_early_0length: mesh("body", "payload that looks like a body's end"),
    interrupted_client: mesh("client", "half a request and the end of the connection"),
    interrupted_server: here("answer that is interrupted is cut at the client"),
    bad_chunk: mesh("client", "a malformed chunk in the middle of a body"),
    trailers: here("trailers pass both ways"),
    trailers_close: here("trailers pass both ways"),
    trailers_client_err: mesh("body", "a trailer without a colon"),
    trailers_serv_err: here("a bad chunk after the first ones cuts the client"),
    trailers_no_header: here("trailers pass both ways"),
  },
  body_less: {
    head_small_body_expect: here("bytes behind an answer that has no body"),
    head_large_body_expect: bodylessClosing,
    head_no_body_expect: bodyless,
    head_chunked_expect: bodyless,
    head_close_expect: bodylessClosing,
    head_close_expect_client: bodylessClosing,
    status_204: bodyless,
    status_304: bodyless,
    status_chunked_204: bodylessClosing,
    status_close_304: bodylessClosing,
    status_close_304_client: bodylessClosing,
    bad_transfer_encoding: mesh("request-head", "another encoding"),
    valid_status_204: bodyless,
    valid_status_304: bodyless,
    valid_head: bodyless,
  },
  large_body: {
    stream: wholeBodies,
    close: until,
    close_delimited: until,
    large_body_request_response_interrupt: cut,
    large_chunked_request_response_interrupt: here("answer that is interrupted is cut at the client"),
    large_close_request_response_interrupt: until,
    large_body_request_response_interrupt_undetected: here(
      "a large body between two chunks of a slow instance",
    ),
    weird_content_length: mesh("request-head", "a signed length"),
  },
  backend: {
    "close and keepalive matrices": matrix,
    keepalive_reset: mesh("exchange", "an idle connection that the instance has closed costs no request"),
    keepalive_http_1_0: mesh("response-head", "HTTP/1.0 from an instance is HTTP/1.1 to the client"),
    keepalive_upgrade_close_server: mesh("tunnel", "an instance that dies ends the tunnel"),
    keepalive_upgrade_close_client: mesh("tunnel", "a client that dies ends the tunnel"),
    keepalive_chunked: wholeBodies,
    keepalive_close_delimited: until,
    keepalive_large_body: wholeBodies,
  },
  request: {
    no_host: mesh("request-head", "no host"),
    empty_host: mesh("request-head", "an empty host"),
    empty_expect: here("an empty expectation"),
    url_limits: mesh("request-head", "a request line of 8,193 bytes"),
    header_line_limits: mesh("request-head", "a header line of 8,193 bytes"),
    header_count_limits: mesh("request-head", "1,001 headers"),
    invalid_expect: refusals,
    absolute_uri: mesh("request-head", "an absolute target becomes a path"),
    herokuapp_redirect: "not: no host of ours moves to another",
    maintainance_mode_on: refusals,
    upgrade_invalid: mesh(
      "request-head",
      "one to HTTP/2, with a body, or in HTTP/1.0 is an ordinary request",
    ),
    upgrade_websockets: mesh("tunnel", "a WebSocket carries messages of any size"),
    no_route: mesh("mesh", "an unknown one is nobody's"),
    backlog_timeout: mesh("exchange", "who waits too long gets H20"),
    backlog_too_deep: mesh("exchange", "no more than the allowed number waits"),
    conn_limit_reached: mesh("client", "the connection beyond the last is told so"),
    route_lookup_failed: "not: routes are looked up in memory",
    no_web_processes: refusals,
    crashed: mesh("exchange", "who finds only crashed places gets H10"),
    backends_quarantined: mesh("exchange", "ten tries in a row, then pauses that grow"),
    backends_starting: mesh("exchange", "requests wait for an instance that starts"),
    backends_idle: "not: instances do not sleep",
    app_blank: refusals,
    app_not_found: mesh("mesh", "an unknown one is nobody's"),
    app_lookup_failed: "not: apps are looked up in memory",
  },
  proxy: {
    request_id: mesh("mesh", "a good request id is kept, a bad one replaced"),
    forwarded_for: lines,
    via: lines,
    "connect, start and route time": lines,
    host: lines,
    query_string: lines,
    content_length: wholeBodies,
    no_content_length: lines,
    custom_downstream_headers: lines,
    service_try_again: mesh("exchange", "a request goes around an instance that refuses"),
    response_attributes: mesh("mesh", own),
    request_statistics: ["src/mesh/exposition.test.ts", "what was asked and answered is measured"],
    request_keepalive_statistics: mesh("mesh", "one connection serves many requests on either side"),
    websockets: mesh("tunnel", "a WebSocket carries messages of any size"),
  },
  client: {
    missing_reason_phrase: mesh("response-head", "a missing reason is taken"),
    deliberate_reason_phrase: mesh("mesh", own),
    blank_reason_phrase: mesh("response-head", "with or without its space"),
    order_preservation: mesh("response-head", "order and case do not change"),
    first_read_timeout: mesh("exchange", "no first byte in time is H12"),
    other_read_timeout: mesh("exchange", "silence in the middle is H15"),
    "parsers: chunked": mesh("body", "however it is cut"),
    "parsers: unchunked": fuzzed,
    bytepipe: mesh("tunnel", "a side that does not read holds the other back"),
  },
};
