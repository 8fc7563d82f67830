/**
 * The cases of vtc/, which varnishtest plays as client and as instance around the router: a second hand that
 * writes and reads the bytes. They follow what HAProxy's own tests of HTTP messaging are about; `haproxy` says
 * which of those is where, and which do not apply.
 */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../../bench/peers.ts";
import { Rig, toInstance } from "../../src/mesh/harness.ts";

const folder = join(import.meta.dir, "vtc");
const files = readdirSync(folder).sort();
const program = Bun.which("varnishtest");
const limitMs = 60_000;
if (program === null) console.log("varnishtest is not here (Debian: varnish): its cases are skipped");

/** HAProxy's cases by the name of their file, and where the like is tested; or why it does not apply. */
const haproxy: Readonly<Record<string, string>> = {
  connect_tunnels: "not applicable: CONNECT is refused (H26)",
  connect_aborted_inflight: "not applicable: CONNECT is refused (H26)",
  drop_trailers: "trailers.vtc; deviation: trailers pass, there is no option to drop them",
  h1_authority_fragment_char: "refused.vtc",
  h1_host_normalization:
    "refused.vtc; deviation: a port in Host passes as it came, the app may want to see it",
  h1_request_target_validation: "refused.vtc",
  h1_to_h1: "kept.vtc",
  http_1xx_responses: "interim.vtc",
  http_abortonclose: "not applicable: no option; a client that is gone frees its instance at once (H27)",
  http_bodyless_response: "bodyless.vtc",
  http_fail_cnt_body: "not applicable: counters of HAProxy",
  http_msg_full_on_eom: "not applicable: buffers of HAProxy",
  http_no_delay: "interim.vtc: nothing that came is held back",
  http_request_buffer: "continue.vtc; deviation: bodies stream, there is no option to wait for the whole",
  http_splicing: "not applicable: how HAProxy copies",
  http_transfer_encoding: "refused.vtc, bad-answer.vtc; deviation: codings before chunked are refused",
  http_wait_for_body: "not applicable: no such action",
  httpclose: "close.vtc",
  protocol_upgrade: "upgrade.vtc",
  scheme_based_normalize: "refused.vtc; deviation: Host and target must be the same as they are written",
  srv_ws: "not applicable: HTTP/2 to instances is not spoken",
  truncated: "truncated.vtc",
  truncated_response: "truncated.vtc",
  websocket: "upgrade.vtc; deviation: the handshake's keys are the app's to check",
};

for (const file of files) {
  test.skipIf(program === null)(
    `varnishtest finds what ${file} says`,
    async () => {
      const port = await freePort();
      await using rig = new Rig({ quarantineMs: 10, bootWaitMs: 2_000 });
      rig.report(toInstance("a1", port));
      const macros = { router: `127.0.0.1:${rig.mesh.port}`, instance: `127.0.0.1:${port}` };
      const child = Bun.spawn(
        [
          program as string,
          "-q",
          "-t50",
          ...Object.entries(macros).flatMap(([name, value]) => ["-D", `${name}=${value}`]),
          join(folder, file),
        ],
        { stdout: "pipe", stderr: "pipe" },
      );
      const text = await new Response(child.stdout).text();
      const code = await child.exited;
      expect(code === 0 ? "" : text).toBe("");
      expect(rig.faults).toEqual([]);
    },
    limitMs,
  );
}

test("every case that HAProxy's stand for is there", () => {
  const named = Object.values(haproxy).flatMap((where) => where.match(/[a-z-]+\.vtc/g) ?? []);
  expect(named.filter((file) => !files.includes(file))).toEqual([]);
});
