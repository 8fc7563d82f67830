/** Where the platform's database is. */
import { readFileSync } from "node:fs";
import type { Home } from "../wire/home.ts";
import type { Config } from "./config.ts";
import { portOf } from "./home.ts";

export function databaseUrl(config: Config, home: Home): string {
  if (config.databaseUrl !== undefined) return config.databaseUrl;
  const password = readFileSync(home.databasePassword, "utf8").trim();
  return `postgres://nines:${encodeURIComponent(password)}@127.0.0.1:${portOf(home, "postgres")}/postgres`;
}
