import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { list } from "tar";
import { packTree } from "./archive.ts";
import { readTree } from "./tree.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

test("the archive of a command that was killed is removed by the next one, and that of a living one is not", async () => {
  const dead = Bun.spawnSync(["true"]).pid;
  const [left, used] = [dead, process.ppid].map((pid) => mkdtempSync(join(tmpdir(), `nines-deploy-${pid}-`)));
  folders.push(used ?? "");
  using _ = await packTree(readTree(folder({ Procfile: "web: node x.js" })));
  expect(existsSync(left ?? "")).toBe(false);
  expect(existsSync(used ?? "")).toBe(true);
});

describe("which files make up an app", () => {
  test("outside git: all that no ignore file leaves out, and never .git, node_modules, .venv", () => {
    const root = folder({
      Procfile: "web: node x.js",
      "x.js": "",
      ".env.example": "",
      "secret.key": "",
      ".ninesignore": "*.key\n",
      ".gitignore": "logs/\n",
      "logs/a.txt": "",
      "node_modules/a/index.js": "",
      "lib/node_modules/b.js": "",
      ".venv/bin/python": "",
      "lib/.gitignore": "*.o\n",
      "lib/x.o": "",
      "lib/x.c": "",
    });
    expect(readTree(root).files).toEqual([
      ".env.example",
      ".gitignore",
      ".ninesignore",
      "Procfile",
      "lib/.gitignore",
      "lib/x.c",
      "x.js",
    ]);
  });

  test("in git: tracked files as they are now and new ones, not ignored or deleted ones", () => {
    const root = folder({ Procfile: "web: a", "old.js": "1", "gone.js": "", ".gitignore": "*.log\n" });
    git(root, "init", "-q");
    git(root, "add", ".");
    git(root, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "x");
    writeFileSync(join(root, "old.js"), "2");
    writeFileSync(join(root, "new.js"), "");
    writeFileSync(join(root, "x.log"), "");
    rmSync(join(root, "gone.js"));
    const tree = readTree(root);
    expect(tree.files).toEqual([".gitignore", "Procfile", "new.js", "old.js"]);
    expect(tree.commit).toMatch(/^[0-9a-f]{7,}$/);
  });

  test("in a folder of a repository: that folder's files alone, named from it", () => {
    const root = folder({ README: "", "app/Procfile": "web: a", "app/ä b.js": "" });
    git(root, "init", "-q");
    expect(readTree(join(root, "app")).files).toEqual(["Procfile", "ä b.js"]);
  });

  test("in a folder that the repository around it ignores: all of it", () => {
    const root = folder({ ".gitignore": "app/\n", "app/Procfile": "web: a" });
    git(root, "init", "-q");
    expect(readTree(join(root, "app")).files).toEqual(["Procfile"]);
  });

  test("a repository inside is named in a warning", () => {
    const root = folder({ Procfile: "web: a", "inner/x": "" });
    git(root, "init", "-q");
    git(join(root, "inner"), "init", "-q");
    git(join(root, "inner"), "add", ".");
    expect(readTree(root).warnings).toEqual(["the submodule inner is not sent"]);
  });
});

describe("what cannot be an app is refused by name", () => {
  const cases: [name: string, files: Record<string, string>, message: RegExp][] = [
    ["no Procfile", { "x.js": "" }, /has no Procfile/],
    ["another spelling", { procfile: "web: a" }, /the Procfile is called procfile/],
    ["an empty Procfile", { Procfile: " \n\n" }, /the Procfile in .* is empty/],
    [
      "a Procfile that is left out",
      { Procfile: "web: a", ".gitignore": "Procfile" },
      /left out by an ignore file/,
    ],
  ];
  for (const [name, files, message] of cases) {
    test(name, () => expect(() => readTree(folder(files))).toThrow(message));
  }

  test("no such folder, and not a folder", () => {
    const root = folder({ Procfile: "web: a" });
    expect(() => readTree(join(root, "nope"))).toThrow("there is no such folder");
    expect(() => readTree(join(root, "Procfile"))).toThrow("is not a folder");
  });

  for (const target of ["/etc/passwd", "../x", "lib/../../x"]) {
    test(`a symlink to ${target}`, () => {
      const root = folder({ Procfile: "web: a" });
      symlinkSync(target, join(root, "link"));
      expect(() => readTree(root)).toThrow(`the symlink link leads out of the folder, to ${target}`);
    });
  }

  test("a symlink that stays inside goes along", async () => {
    const root = folder({ Procfile: "web: a", "lib/x": "1" });
    symlinkSync("../Procfile", join(root, "lib/link"));
    const entries = await unpack(root);
    expect(entries.find((entry) => entry.path === "lib/link")).toMatchObject({
      type: "SymbolicLink",
      linkpath: "../Procfile",
    });
  });
});

describe("the same files give the same bytes", () => {
  test("whatever their times, their order on disk, their group's rights, their hard links", async () => {
    const files = { Procfile: "web: a", "b/1": "same", "b/2": "same", "run.sh": "#!/bin/sh\n", "@at": "" };
    const one = folder(files);
    const two = folder({});
    for (const name of Object.keys(files).toReversed()) {
      mkdirSync(dirname(join(two, name)), { recursive: true });
      cpSync(join(one, name), join(two, name));
    }
    for (const root of [one, two]) chmodSync(join(root, "run.sh"), root === one ? 0o755 : 0o700);
    chmodSync(join(two, "Procfile"), 0o664);
    utimesSync(join(two, "b/1"), 1, 1);
    rmSync(join(two, "b/2"));
    linkSync(join(two, "b/1"), join(two, "b/2"));
    using first = await packTree(readTree(one));
    using second = await packTree(readTree(two));
    expect(second.sha256).toBe(first.sha256);
    expect(first.bytes).toBe(readFileSync(first.path).length);
  });

  test("and others give others", async () => {
    using first = await packTree(readTree(folder({ Procfile: "web: a" })));
    using second = await packTree(readTree(folder({ Procfile: "web: b" })));
    expect(second.sha256).not.toBe(first.sha256);
  });

  test("nobody's name or number is in it, only whether a file can be run", async () => {
    const root = folder({ Procfile: "web: a", "run.sh": "", "deep/er/x": "1" });
    chmodSync(join(root, "run.sh"), 0o711);
    const entries = await unpack(root);
    expect(entries.map(({ path, mode, uid, uname }) => ({ path, mode, uid, uname }))).toEqual([
      { path: "Procfile", mode: 0o644, uid: undefined, uname: "" },
      { path: "deep/er/x", mode: 0o644, uid: undefined, uname: "" },
      { path: "run.sh", mode: 0o755, uid: undefined, uname: "" },
    ]);
  });
});

test("an app of 5 GB is refused before a byte of it is read", async () => {
  const root = folder({ Procfile: "web: a", big: "" });
  truncateSync(join(root, "big"), 5e9);
  await expect(packTree(readTree(root))).rejects.toThrow(
    "the app is too large: 5.0 GB, where 4.3 GB is the most",
  );
});

test("the temporary file goes away, also when packing fails", async () => {
  const tree = readTree(folder({ Procfile: "web: a", x: "1" }));
  const path = await (async () => {
    using archive = await packTree(tree);
    return archive.path;
  })();
  expect(existsSync(dirname(path))).toBe(false);
  rmSync(join(tree.root, "x"));
  await expect(packTree(tree)).rejects.toThrow(/x changed while it was packed/);
});

interface Entry {
  readonly path: string;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly uname: string | undefined;
  readonly type: string;
  readonly linkpath: string | undefined;
}

async function unpack(root: string): Promise<readonly Entry[]> {
  using archive = await packTree(readTree(root));
  const entries: Entry[] = [];
  await list({
    file: archive.path,
    onReadEntry: ({ path, mode, uid, uname, type, linkpath }) =>
      entries.push({ path, mode, uid, uname, type, linkpath }),
  });
  return entries;
}

function folder(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), "nines-tree-"));
  folders.push(root);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), content);
  }
  return root;
}

function git(root: string, ...args: string[]): void {
  const done = Bun.spawnSync(["git", "-C", root, ...args]);
  if (!done.success) throw new Error(done.stderr.toString());
}
