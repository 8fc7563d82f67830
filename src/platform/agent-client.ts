/** The agent of this machine, as the controllers speak to it: over its socket. */
import type { Attachment, RunSocket } from "../api/api.ts";
import { type ErrorCode, errorCodes, NinesError, toError } from "../std/errors.ts";
import { agentPaths } from "../wire/agent.ts";
import type { ErrorReply } from "../wire/api.ts";
import type { Home } from "../wire/home.ts";

export interface AgentClient {
  /** That instance anew. Throws `not_found`, or `unavailable` when the agent does not answer. */
  restart(id: string): Promise<void>;
  /** Starts an attached run and becomes its other end; `ended` is called once, however it ends. */
  attach(job: string, attachment: Attachment, ended: () => void): Promise<RunSocket>;
}

const answerMs = 5_000;

export function createAgentClient(home: Home): AgentClient {
  return {
    async restart(id) {
      const response = await ask(home, agentPaths.restart(id), "POST");
      if (!response.ok) throw await toRefusal(response);
    },
    async attach(job, attachment, ended) {
      const query = new URLSearchParams({
        ...(attachment.tty ? { tty: "1" } : {}),
        columns: String(attachment.columns),
        rows: String(attachment.rows),
        term: attachment.term,
      });
      return await connect(home, `${agentPaths.attach(job)}?${query}`, ended);
    },
  };
}

async function ask(home: Home, path: string, method: string): Promise<Response> {
  try {
    return await fetch(`http://agent${path}`, {
      method,
      unix: home.agentSocket,
      signal: AbortSignal.timeout(answerMs),
    });
  } catch (cause) {
    throw away(cause);
  }
}

async function toRefusal(response: Response): Promise<NinesError> {
  const reply = (await response.json().catch(() => ({}))) as Partial<ErrorReply>;
  const code = (reply.code ?? "") in errorCodes ? (reply.code as ErrorCode) : "internal";
  return new NinesError(code, reply.message ?? `the agent answered ${response.status}`, {
    ...(reply.hint === undefined ? {} : { hint: reply.hint }),
  });
}

function connect(home: Home, path: string, whenEnded: () => void): Promise<RunSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws+unix://${home.agentSocket}:${path}`);
    socket.binaryType = "nodebuffer";
    // What comes before somebody listens is kept: the first lines of a command come at once.
    let early: Uint8Array[] = [];
    let onFrame = (frame: Uint8Array): void => void early.push(frame);
    let onEnd: (reason: string) => void = () => {};
    let ended: string | undefined;
    const timer = setTimeout(() => {
      socket.close();
      reject(away(new Error(`no answer within ${answerMs} ms`)));
    }, answerMs);
    const far: RunSocket = {
      onFrame(callback) {
        for (const frame of early) callback(frame);
        early = [];
        onFrame = callback;
      },
      onEnd(callback) {
        onEnd = callback;
        if (ended !== undefined) callback(ended);
      },
      send: (frame) => void socket.send(frame as Uint8Array<ArrayBuffer>),
      get bufferedBytes() {
        return socket.bufferedAmount;
      },
      close: () => socket.close(),
    };
    socket.onopen = () => {
      clearTimeout(timer);
      resolve(far);
    };
    socket.onmessage = ({ data }) => onFrame(data as Buffer);
    socket.onclose = ({ reason }) => {
      clearTimeout(timer);
      ended = reason || "the agent closed the line";
      onEnd(ended);
      whenEnded();
      reject(away(new Error(ended)));
    };
    socket.onerror = () => {};
  });
}

function away(cause: unknown): NinesError {
  return new NinesError("unavailable", `the agent does not answer: ${toError(cause).message}`, {
    blame: "platform",
    cause,
    hint: "nines status shows whether it runs; it is restarted by itself",
  });
}
