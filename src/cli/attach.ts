/** This terminal, or these pipes, at the other end of a one-off command. */
import { NinesError } from "../std/errors.ts";
import { type AppReply, type RunExit, runFrames } from "../wire/api.ts";
import { type Client, path } from "./client.ts";
import type { Output } from "./output.ts";

/** More than this on its way to the command, and stdin waits. */
const inflightBytesMax = 1 << 20;
const stdinPieceBytes = 64 * 1024;
const drainPollMs = 10;

/** Runs the command and resolves to its exit code. Throws when the line to it breaks. */
export async function attach(
  client: Client,
  out: Output,
  app: string,
  command: string,
  wantsTerminal: boolean,
): Promise<number> {
  const { stdin, stdout } = process;
  const terminal = wantsTerminal && stdin.isTTY === true && stdout.isTTY === true;
  const query = new URLSearchParams({
    command,
    ...(terminal
      ? {
          tty: "1",
          columns: String(stdout.columns ?? 80),
          rows: String(stdout.rows ?? 24),
          term: process.env.TERM || "xterm",
        }
      : {}),
  });
  const target = `${path`/v1/apps/${app}/run`}?${query}`;
  // A socket that is refused cannot say why; so the commonest reason is looked for first.
  const { release } = await client.json<AppReply>(path`/v1/apps/${app}`);
  if (release === null) {
    throw new NinesError("conflict", `${app} has no release to run anything in`, {
      hint: `nines deploy DIR -a ${app} makes one`,
    });
  }
  const socket = new WebSocket(`${client.url.replace(/^http/, "ws")}${target}`, {
    headers: client.credentials(),
  } as unknown as string[]);
  socket.binaryType = "arraybuffer";
  using _raw = rawMode(terminal);
  let opened = false;
  const ended = new Promise<number>((resolve, reject) => {
    socket.onopen = () => {
      opened = true;
      void sendInput(socket);
      if (terminal) stdout.on("resize", () => send(socket, runFrames.resize, toSize()));
    };
    socket.onmessage = ({ data }) => {
      if (!(data instanceof ArrayBuffer)) return;
      const frame = new Uint8Array(data);
      const payload = frame.subarray(1);
      if (frame[0] === runFrames.stdout) out.stdout.write(payload);
      else if (frame[0] === runFrames.stderr) out.stderr.write(payload);
      else if (frame[0] === runFrames.exit) {
        resolve((JSON.parse(new TextDecoder().decode(payload)) as RunExit).code);
        socket.close();
      }
    };
    socket.onclose = ({ reason }) =>
      reject(
        new NinesError(
          "unavailable",
          opened
            ? `the line to the command broke${reason ? `: ${reason}` : ""}; it was sent SIGHUP`
            : `the command could not be started${reason ? `: ${reason}` : ""}`,
          { hint: `nines ps -a ${app} and nines status show what runs` },
        ),
      );
  });
  return await ended.catch(async (error) => {
    throw opened ? error : ((await toRefusal(client, target)) ?? error);
  });
}

/** Why a socket is refused: the same question without one is refused for that reason before for want of a handshake. */
async function toRefusal(client: Client, target: string): Promise<unknown> {
  try {
    await client.send(target);
    return undefined;
  } catch (error) {
    return error instanceof NinesError && error.code !== "invalid" ? error : undefined;
  }
}

/** Keys go to the command one by one, Ctrl-C too; the terminal is as it was when this ends. */
function rawMode(on: boolean): Disposable {
  if (on) process.stdin.setRawMode(true);
  return {
    [Symbol.dispose]: () => {
      if (on) process.stdin.setRawMode(false);
      process.stdin.pause();
    },
  };
}

async function sendInput(socket: WebSocket): Promise<void> {
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; at += stdinPieceBytes) {
      send(socket, runFrames.stdin, chunk.subarray(at, at + stdinPieceBytes));
    }
    while (socket.bufferedAmount > inflightBytesMax) await Bun.sleep(drainPollMs);
    if (socket.readyState !== WebSocket.OPEN) return;
  }
  send(socket, runFrames.stdin, new Uint8Array());
}

function send(socket: WebSocket, kind: number, payload: Uint8Array): void {
  if (socket.readyState !== WebSocket.OPEN) return;
  const frame = new Uint8Array(payload.length + 1);
  frame[0] = kind;
  frame.set(payload, 1);
  socket.send(frame);
}

const toSize = (): Uint8Array =>
  new TextEncoder().encode(
    JSON.stringify({ columns: process.stdout.columns ?? 80, rows: process.stdout.rows ?? 24 }),
  );
