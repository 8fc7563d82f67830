/** Delivers buffered writes as mail, to targets whose URL is `smtp://user:password@host:587?from=…&to=…`. */
import type { Outcome, Sender } from "../buffer/buffer.ts";
import { toError } from "../std/errors.ts";

/** What a mail server answers to a mail that it will never take (RFC 5321). */
const refusedMin = 500;

/** Mails to mail targets, everything else to `others`. The library is loaded with the first mail. */
export function withMail(others: Sender): Sender {
  return async (send, signal) => {
    if (!/^smtps?:/.test(send.record.url)) return await others(send, signal);
    const { record, write } = send;
    let mail: { readonly subject: string; readonly text: string };
    try {
      mail = JSON.parse(Buffer.from(write.body).toString("utf8"));
      if (typeof mail.subject !== "string" || typeof mail.text !== "string")
        throw new Error("no subject or no text");
    } catch (error) {
      return { kind: "refused", reason: `not a mail: ${toError(error).message}` };
    }
    return await deliver(record.url, record.timeoutMs, mail, write.idempotencyKey, signal);
  };
}

async function deliver(
  url: string,
  timeoutMs: number,
  { subject, text }: { readonly subject: string; readonly text: string },
  idempotencyKey: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { createTransport } = await import("nodemailer");
  const { protocol, hostname, port, username, password, searchParams } = new URL(url);
  const transport = createTransport({
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port) || (protocol === "smtps:" ? 465 : 587),
    secure: protocol === "smtps:",
    ...(username === ""
      ? {}
      : { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  const onAbort = () => transport.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await transport.sendMail({
      from: searchParams.get("from") ?? "",
      to: searchParams.getAll("to"),
      subject,
      text,
      // The same on every try, so that mail programs show one.
      messageId: `<${idempotencyKey}@nines>`,
    });
    return { kind: "delivered" };
  } catch (error) {
    if (signal.aborted) return { kind: "aborted" };
    const { message, responseCode } = toError(error) as Error & { responseCode?: number };
    // Wrong credentials are the target's trouble, and no fault of this mail.
    const isRefused = (responseCode ?? 0) >= refusedMin && responseCode !== 535 && responseCode !== 530;
    return { kind: isRefused ? "refused" : "down", reason: message.slice(0, 200) };
  } finally {
    signal.removeEventListener("abort", onAbort);
    transport.close();
  }
}
