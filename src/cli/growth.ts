/** Follows a flag that grows by itself. */
import { NinesError } from "../std/errors.ts";
import type { FlagReply } from "../wire/flags.ts";
import { type Client, path } from "./client.ts";
import type { Output } from "./output.ts";

const lookMs = 500;

/** Resolves to the exit code: 0 when it has grown as far as it should. */
export async function followGrowth(
  client: Client,
  out: Output,
  first: FlagReply,
  json: boolean,
): Promise<number> {
  for (const warning of first.warnings) out.note(`warning: ${warning}`);
  const { key } = first;
  let flag = first;
  let told = "";
  for (;;) {
    const { gated, step } = flag;
    const line = gated?.state === "baking" ? `${key} is at ${step}` : "";
    if (line !== told && line !== "" && !json) out.line(line);
    told = line;
    if (gated?.state !== "baking") break;
    await new Promise((resolve) => setTimeout(resolve, lookMs));
    try {
      flag = await client.json<FlagReply>(path`/v1/flags/${key}`);
    } catch (error) {
      // A controller that is away is no reason to stop looking: another one goes on.
      if (!(error instanceof NinesError) || !error.retryable) throw error;
    }
  }
  if (json) out.json(flag);
  else if (flag.gated?.state === "turned_back")
    out.line(`${key} is back at ${flag.step}: ${flag.gated.reason}`);
  else if (flag.gated?.state === "paused") out.line(`${key} is held at ${flag.step}: ${flag.gated.reason}`);
  else out.line(`${key} is at ${flag.step}: ${flag.why}`);
  return flag.gated === undefined && flag.step === first.gated?.steps.at(-1)?.step ? 0 : 1;
}
