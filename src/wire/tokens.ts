/**
 * Tokens of the API beside the one in the home folder: each with a name, which stands in every history, and a role.
 * `/tokens/NAME` of the registry holds its hash; the token itself is told once.
 *
 *   GET    /v1/tokens          {tokens: TokenReply[]}
 *   POST   /v1/tokens          {name, role} → TokenMade
 *   DELETE /v1/tokens/NAME     it opens nothing any more
 */
import { createHash, randomBytes } from "node:crypto";
import { NinesError } from "../std/errors.ts";
import { Shape } from "../std/shape.ts";
import { isSame } from "./credential.ts";

export const roles = ["viewer", "admin"] as const;
/** viewer: reads, but neither config nor what apps hold. admin: everything. */
export type Role = (typeof roles)[number];

/** Who asks. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}

export interface TokenRecord extends Principal {
  /** SHA-256 of the token, which holds 32 random bytes: nothing slower is needed. */
  readonly hash: string;
  readonly by: string;
  readonly at: string;
}

export type TokenReply = Omit<TokenRecord, "hash">;

export interface TokenMade extends TokenReply {
  readonly token: string;
}

export const tokensPrefix = "/tokens/";
export const tokensMax = 100;
const namePattern = /^[a-z][a-z0-9-]{0,29}$/;
/** Who stands in histories for the platform itself, or for the token in the home folder. */
const reserved =
  /^(admin|nines|system|unknown|(broker|controller|relay|router|agent|kernel|heart|postgres)(-.*)?)$/;
const shape = /^nines_([a-z][a-z0-9-]{0,29})_[A-Za-z0-9_-]{43}$/;

export function toTokenPath(name: string): string {
  if (namePattern.test(name) && !reserved.test(name)) return `${tokensPrefix}${name}`;
  throw new NinesError("invalid", `"${name.slice(0, 60)}" cannot be the name of a token`, {
    hint: 'small letters, digits and "-", at most 30, and no name of the platform\'s own such as admin',
  });
}

export function makeToken(name: string): { readonly token: string; readonly hash: string } {
  const token = `nines_${name}_${randomBytes(32).toString("base64url")}`;
  return { token, hash: toHash(token) };
}

/** Under which name a token would be known; undefined for what is none. */
export function nameOfToken(token: string): string | undefined {
  return shape.exec(token)?.[1];
}

export function isToken(token: string, record: TokenRecord): boolean {
  return isSame(toHash(token), record.hash);
}

export function parseTokenRecord(value: unknown): TokenRecord {
  const record = new Shape(value, "token");
  return {
    name: record.string("name"),
    role: record.word("role", roles),
    hash: record.string("hash"),
    by: record.string("by", "unknown"),
    at: record.string("at", ""),
  };
}

function toHash(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
