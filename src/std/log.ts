import { writeSync } from "node:fs";

/** One line of logfmt per event, on stderr, which the supervisor points at a bounded file. */
export type Fields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
  with(fields: Fields): Log;
}

/** Makes a log whose lines all carry `fixed`. `write` gets whole lines, without the newline. */
export function createLog(fixed: Fields, write: (line: string) => void = toStderr): Log {
  const line = (level: string, event: string, fields: Fields = {}) =>
    write(`${new Date().toISOString()} at=${level} event=${event}${toLogfmt({ ...fixed, ...fields })}`);
  return {
    info: (event, fields) => line("info", event, fields),
    warn: (event, fields) => line("warning", event, fields),
    error: (event, fields) => line("error", event, fields),
    with: (fields) => createLog({ ...fixed, ...fields }, write),
  };
}

/** ` key=value` for each field; quoted where a space, quote, control character or nothing is in it. */
export function toLogfmt(fields: Fields): string {
  let text = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const plain = String(value);
    text += ` ${key}=${/^[^\s"=\x00-\x1f\x7f]+$/.test(plain) ? plain : JSON.stringify(plain)}`;
  }
  return text;
}

/** The last line stands there in part: the disk was full. */
let isTorn = false;

function toStderr(line: string): void {
  const bytes = Buffer.from(`${isTorn ? "\n" : ""}${line}\n`);
  try {
    // Not by the stream, which tells of a full disk later, by an event that ends the process.
    const written = writeSync(2, bytes);
    if (written > 0) isTorn = written < bytes.length;
  } catch {
    // A full disk or a closed pipe must not take the process with it; the line is lost.
  }
}
