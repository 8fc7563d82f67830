/**
 * Suites that others wrote, as data, where NINES_CONFORMANCE_SUITES names a folder that has them:
 * `desync/*.yaml` of aws/http-desync-guardian, and `llhttp/{request,response}/*.md` of nodejs/llhttp.
 * Every deviation is named in deviations.ts, with its reason.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { laxer, stricter } from "./deviations.ts";
import { readRequests, readResponse, type Verdict } from "./reading.ts";

const folder = process.env.NINES_CONFORMANCE_SUITES ?? "";

interface Case {
  readonly name: string;
  /** What the suite asks for. */
  readonly wanted: "taken" | "refused" | "either";
  readonly verdict: Verdict;
}

/** The cases that deviate without a reason. */
function unexplained(cases: readonly Case[]): string[] {
  return cases.flatMap(({ name, wanted, verdict }) => {
    if (wanted === "either") return [];
    if (wanted === "refused") return verdict.fault !== "" || laxer.has(name) ? [] : [`laxer: ${name}`];
    return verdict.fault === "" || stricter.has(verdict.fault) ? [] : [`stricter: ${name}: ${verdict.fault}`];
  });
}

function summary(cases: readonly Case[]): string {
  const refused = cases.filter(({ verdict }) => verdict.fault !== "");
  const strict = refused.filter(({ wanted }) => wanted === "taken");
  const lax = cases.filter(({ wanted, verdict }) => wanted === "refused" && verdict.fault === "");
  return `${cases.length} cases, ${refused.length} refused; stricter ${strict.length}, laxer ${lax.length}`;
}

test.skipIf(!existsSync(join(folder, "desync")))(
  "http-desync-guardian: severe is refused, compliant passes",
  () => {
    const cases: Case[] = [];
    for (const file of readdirSync(join(folder, "desync"))) {
      for (const document of parseAllDocuments(readFileSync(join(folder, "desync", file), "utf8"))) {
        for (const one of document.toJS() as Guarded[]) cases.push(toGuardedCase(one, file));
      }
    }
    console.log(`http-desync-guardian: ${summary(cases)}`);
    expect(unexplained(cases)).toEqual([]);
  },
);

interface Guarded {
  readonly name: string;
  readonly uri: string;
  readonly method: string;
  readonly version: string;
  readonly headers?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly expected: { readonly tier: string };
}

function toGuardedCase({ name, uri, method, version, headers, expected }: Guarded, file: string): Case {
  const lines = (headers ?? []).map((header) => `${header.name}: ${header.value}\r\n`).join("");
  // The suite is about framing: its requests have no Host unless they are about Host.
  const host = headers?.some((header) => /^host$/i.test(String(header.name).trim())) ? "" : "Host: a\r\n";
  const text = `${method} ${uri}${version ? ` ${version}` : ""}\r\n${host}${lines}\r\n`;
  const wanted = { Severe: "refused", Ambiguous: "either", Acceptable: "either" }[expected.tier] ?? "taken";
  return {
    name: `${file}: ${name}`,
    wanted: wanted as Case["wanted"],
    verdict: readRequests(Buffer.from(text, "latin1")),
  };
}

for (const [kind, read] of [
  ["request", readRequests],
  ["response", readResponse],
] as const) {
  test.skipIf(!existsSync(join(folder, "llhttp", kind)))(`llhttp: the same ${kind}s are refused`, () => {
    const cases: Case[] = [];
    for (const file of readdirSync(join(folder, "llhttp", kind))) {
      cases.push(...toCases(readFileSync(join(folder, "llhttp", kind, file), "utf8"), kind, read, file));
    }
    console.log(`llhttp ${kind}s: ${summary(cases)}`);
    expect(unexplained(cases)).toEqual([]);
  });
}

/** The sections of one of its files that are about its strict mode. */
function toCases(
  text: string,
  kind: "request" | "response",
  read: (bytes: Buffer) => Verdict,
  file: string,
): Case[] {
  const cases: Case[] = [];
  const section = /^#+ (.+)$|<!-- meta=(\{.*?\}) -->\s*```http\n([\s\S]*?)```\s*```log\n([\s\S]*?)```/gm;
  let title = "";
  for (const [, heading, meta, http = "", log = ""] of text.matchAll(section)) {
    if (heading !== undefined) title = heading;
    else if ((JSON.parse(meta ?? "{}") as { type: string }).type === kind) {
      const isRefused =
        log.includes("error code=") && !/error code=2[1-9]|Pause|after `Connection: close`/i.test(log);
      cases.push({
        name: `${kind}/${file}: ${title}`,
        wanted: isRefused ? "refused" : "taken",
        verdict: read(toBytes(http, kind)),
      });
    }
  }
  return cases;
}

/** llhttp's own notation; a Host is added where it needs none. */
function toBytes(http: string, kind: string): Buffer {
  const text = http
    .replace(/\n$/, "")
    .replace(/\\(\r\n|\r|\n)/g, "")
    .replace(/\r\n|\r|\n/g, "\r\n")
    .replace(/\\r/g, "\r")
    .replace(/\\n/g, "\n")
    .replace(/\\t/g, "\t")
    .replace(/\\f/g, "\f")
    .replace(/\\x([0-9a-fA-F]+)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .replace(/\\([0-7]{1,3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
  if (kind === "response") return Buffer.from(text, "latin1");
  const hosted = /^host *:/im.test(text) ? text : text.replace(/( HTTP\/1\.[01]\r\n)/g, "$1Host: a\r\n");
  return Buffer.from(hosted, "latin1");
}
