/** What an app does so that an effect happens once: a row per message, and the effect, in one transaction. */
import { Database } from "bun:sqlite";

export class Inbox implements Disposable {
  readonly #database = new Database(":memory:");
  readonly #take: (group: string, id: string) => void;

  constructor() {
    this.#database.run('create table inbox ("group" text, id text, primary key ("group", id))');
    this.#database.run("create table effect (id text)");
    const row = this.#database.prepare(
      'insert into inbox ("group", id) values (?, ?) on conflict do nothing',
    );
    const effect = this.#database.prepare("insert into effect (id) values (?)");
    this.#take = this.#database.transaction((group: string, id: string) => {
      if (row.run(group, id).changes === 1) effect.run(id);
    });
  }

  take(group: string, id: string): void {
    this.#take(group, id);
  }

  /** How often each effect happened. */
  counts(): ReadonlyMap<string, number> {
    const rows = this.#database.query("select id, count(*) as count from effect group by id").all();
    return new Map((rows as { id: string; count: number }[]).map(({ id, count }) => [id, count]));
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}
