/**
 * What the agent answers on its socket (home.agentSocket, HTTP): to the controllers of its machine.
 *
 *   GET  /instances                {instances}: its table, now
 *   POST /instances/ID/restart     {}: that instance anew; 404 when there is none of that id
 *   GET  /jobs/ID/attach?tty=1&columns=80&rows=24&term=xterm
 *                                  WebSocket: starts an attached run (a job record with `attached`) and is its
 *                                  other end; frames as in api.ts (runFrames); without tty=1 it gets pipes
 *
 * A refusal is an ErrorReply (api.ts) with the HTTP status of its code.
 */
export const agentPaths = {
  instances: "/instances",
  restart: (id: string) => `/instances/${encodeURIComponent(id)}/restart`,
  attach: (job: string) => `/jobs/${encodeURIComponent(job)}/attach`,
} as const;
