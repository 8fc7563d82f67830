/**
 * The PostgreSQL client (postgres 3.4) collects small messages until the next turn of the event loop, and may then write
 * them to a socket that has closed meanwhile and that it has forgotten. It throws where nobody can catch it. The
 * queries concerned fail by themselves, and the connection is given up with all others, so it is nobody's end.
 */
export function isLateWrite(error: Error): boolean {
  return (
    error instanceof TypeError && /\bnextWrite\b[^\n]*\bpostgres\/src\/connection\.js/.test(error.stack ?? "")
  );
}
