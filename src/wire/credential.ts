/**
 * What an app shows to prove its name: the name, and what only the platform's secret can make of it, so that
 * whoever has that secret knows every app's credential without a table. One for each use, so that none opens more.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

export type CredentialUse = "bus" | "api" | "flags" | "flag-events";

const shape = /^([a-z][a-z0-9-]{0,29})\.[0-9a-f]{64}$/;

export function toCredential(secret: string, use: CredentialUse, app: string): string {
  return `${app}.${createHmac("sha256", secret).update(`${use} ${app}`).digest("hex")}`;
}

/** The app whose credential it is; undefined when it is nobody's. */
export function readCredential(given: string, secret: string, use: CredentialUse): string | undefined {
  const [, app] = shape.exec(given) ?? [];
  return app !== undefined && isSame(given, toCredential(secret, use, app)) ? app : undefined;
}

/** Takes the same time for every wrong guess, whatever its length. */
export function isSame(given: string | Buffer, expected: string): boolean {
  const digest = (value: string | Buffer) => createHash("sha256").update(value).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
