/** Requests as an attacker makes them: with any token, and said by hand. */
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import type { Platform } from "../harness.ts";

export interface Ask extends RequestInit {
  /** The admin's by default. */
  readonly token?: string;
}

/** Asks the API of a platform. */
export function ask(
  { apiPort, home }: Platform,
  path: string,
  { token, headers, ...init }: Ask = {},
): Promise<Response> {
  const given = token ?? readFileSync(home.token, "utf8").trim();
  return fetch(`http://127.0.0.1:${apiPort}${path}`, {
    ...init,
    headers: { Authorization: `Bearer ${given}`, ...(headers as Record<string, string>) },
  });
}

export function json(value: unknown): RequestInit {
  return { method: "POST", body: JSON.stringify(value), headers: { "Content-Type": "application/json" } };
}

/** Says a request by hand; 0 when the connection was closed without an answer. */
export function rawStatus(port: number, line: string, headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.setTimeout(60_000, () => socket.destroy(new Error(`no answer to ${line}`)));
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
    socket.write(`${line}\r\n${lines.join("")}Connection: close\r\n\r\n`);
  });
}
