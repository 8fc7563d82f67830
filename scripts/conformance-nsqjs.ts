/**
 * `bun scripts/conformance-nsqjs.ts`: nsqjs' own tests, as its package brings them, with the embedded broker in
 * the place of nsqd. Left out are those of TLS, deflate and snappy, which the broker says that it does not speak,
 * and the unit tests of nsqlookupd's client, which need no broker. Exits as mocha does.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What nsqjs' tests need beside itself, in the versions that its package names. */
const testing = [
  "mocha@^9.0.3",
  "should@^13.2.3",
  "sinon@^11.1.1",
  "p-event@^4.2.0",
  "async-retry@^1.3.1",
  "temp@^0.9.4",
];
const leftOut = "stream compression and encryption";

const root = join(import.meta.dir, "..");
const work = mkdtempSync(join(tmpdir(), "nines-nsqjs-"));
try {
  const folder = join(work, "nsqjs");
  cpSync(join(root, "node_modules/nsqjs"), folder, { recursive: true });
  writeFileSync(join(work, "package.json"), '{"private":true}');
  must(
    [
      "npm",
      "install",
      "--no-audit",
      "--no-fund",
      "--silent",
      "--ignore-scripts",
      "lodash@4",
      "node-fetch@2",
      "node-state@1",
      "debug@4",
      ...testing,
    ],
    work,
  );
  // nsqd's flags, as far as the tests use them, for the embedded broker.
  const bin = join(work, "bin");
  mkdirSync(bin);
  const shim = `#!/bin/bash
while [ $# -gt 0 ]; do
  case "$1" in
    -tcp-address) export BUS_PORT="\${2##*:}" ;;
    -http-address) export BUS_HTTP_PORT="\${2##*:}" ;;
    -data-path) export BUS_DIR="$2" ;;
  esac
  shift 2
done
exec ${JSON.stringify(process.execPath)} ${JSON.stringify(join(root, "src/bus/broker-process.ts"))}
`;
  writeFileSync(join(bin, "nsqd"), shim, { mode: 0o755 });
  const mocha = join(work, "node_modules/.bin/mocha");
  const args = [
    "-R",
    "spec",
    "--exit",
    "--timeout",
    "10000",
    "--grep",
    leftOut,
    "--invert",
    "test/z_integration_test.js",
  ];
  const ran = spawnSync(mocha, args, {
    cwd: folder,
    stdio: "inherit",
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });
  process.exitCode = ran.status ?? 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

function must(command: readonly string[], cwd: string): void {
  const [program = "", ...args] = command;
  const ran = spawnSync(program, args, { cwd, encoding: "utf8" });
  if (ran.status !== 0) throw new Error(`${command.join(" ")}: ${ran.stderr}`);
}
