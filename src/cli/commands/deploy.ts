/** `nines deploy [DIR] -a APP`: packs the folder, sends it where it is not known, follows it into service. */
import { resolve } from "node:path";
import { NinesError } from "../../std/errors.ts";
import { headers } from "../../wire/api.ts";
import type { Rollout } from "../../wire/records.ts";
import { type Archive, packTree } from "../archive.ts";
import { type Client, path } from "../client.ts";
import { appFlags, defineCommand } from "../command.ts";
import { portIn } from "../context.ts";
import type { Output } from "../output.ts";
import { Progress, toBytes } from "../progress.ts";
import { askChange, isWaiting, waitFlags, watchRollout } from "../rollout.ts";
import { readTree, type Tree } from "../tree.ts";
import { UsageError } from "../usage.ts";

const pieceBytes = 256 * 1024;

export const deploy = defineCommand({
  places: "[DIR]",
  args: { min: 0, max: 1 },
  flags: {
    ...appFlags,
    ...waitFlags,
    stages: {
      kind: "text",
      value: "NAMES",
      summary: "through these stages: internal,beta,all; none is one step",
    },
    to: { kind: "text", value: "STAGE", summary: "stop after that stage until it is promoted" },
    now: { kind: "switch", summary: "in one step, whatever stages the app has" },
  },
  notes: `Sends what git would commit, with the content it has now; outside a git repository everything that
.gitignore and .ninesignore do not leave out. Never .git, node_modules, .venv. The app is made when it is new.`,
  async run({ flags, args: [folder = "."], app, out, client, home }) {
    const name = app();
    const tree = readTree(folder);
    for (const warning of tree.warnings) out.note(`warning: ${warning}`);
    if (flags.now && (flags.stages !== undefined || flags.to !== undefined)) {
      throw new UsageError("--now is one step: it goes with neither --stages nor --to");
    }
    const wish = new URLSearchParams({
      ...(flags.now ? { stages: "none" } : flags.stages === undefined ? {} : { stages: flags.stages }),
      ...(flags.to === undefined ? {} : { until: flags.to }),
    });
    const rollout = await send(client, out, name, tree, flags.json, wish);
    const port = portIn(home, "router");
    return await watchRollout(client, out, rollout, {
      wait: isWaiting(flags),
      json: flags.json,
      ...(port === undefined ? {} : { url: `http://${name}.localhost:${port}` }),
    });
  },
});

/** Packs and sends a tree; resolves to the rollout that it became. */
export async function send(
  client: Client,
  out: Output,
  app: string,
  tree: Tree,
  quiet: boolean,
  wish: URLSearchParams = new URLSearchParams(),
): Promise<Rollout> {
  // Before the work of packing: is anyone there, and may we?
  await client.json("/v1/status");
  const packing = new Progress(out, "Packing", tree.files.length, "files", quiet);
  using archive = await packTree(tree, (count) => packing.at(count)).finally(() => packing.clear());
  const known = await isKnown(client, archive.sha256);
  const files = `${tree.files.length} file${tree.files.length === 1 ? "" : "s"}`;
  if (!quiet && known) out.note(`${files}, ${toBytes(archive.bytes)}: sent before, not sent again`);
  const progress = new Progress(out, `Sending ${files}`, archive.bytes, "bytes", quiet || known);
  try {
    const rollout = await askChange(
      client,
      `${path`/v1/apps/${app}/deploys`}${wish.size === 0 ? "" : `?${wish}`}`,
      {
        method: "POST",
        headers: {
          "content-type": "application/gzip",
          "content-length": String(known ? 0 : archive.bytes),
          [headers.contentSha256]: archive.sha256,
          [headers.description]: `Deploy ${tree.commit ?? archive.sha256.slice(0, 7)}`,
        },
        ...(known ? {} : { body: () => readPieces(archive, (bytes) => progress.at(bytes)) }),
        timeoutMs: 0,
      },
    );
    if (rollout === undefined) {
      throw new NinesError("internal", "the controller accepted the deploy and named no rollout", {
        blame: "platform",
      });
    }
    progress.done();
    return rollout;
  } catch (error) {
    progress.clear();
    throw error;
  }
}

async function isKnown(client: Client, sha256: string): Promise<boolean> {
  try {
    await client.send(path`/v1/uploads/${sha256}`, { method: "HEAD" });
    return true;
  } catch (error) {
    if (error instanceof NinesError && error.code === "not_found") return false;
    throw error;
  }
}

/** The archive as the network takes it, so that the count is what has left. */
function readPieces(archive: Archive, onSent: (bytes: number) => void): ReadableStream<Uint8Array> {
  const file = Bun.file(resolve(archive.path));
  let at = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      onSent(at);
      if (at >= archive.bytes) return controller.close();
      const piece = new Uint8Array(await file.slice(at, at + pieceBytes).arrayBuffer());
      at += piece.length;
      controller.enqueue(piece);
    },
  });
}
