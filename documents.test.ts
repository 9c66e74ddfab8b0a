import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const root = import.meta.dir;
const read = (file: string): string => readFileSync(join(root, file), "utf8");
const foldersIn = (folder: string): string[] =>
  readdirSync(join(root, folder)).filter((name) => statSync(join(root, folder, name)).isDirectory());

/** Spans of code that look like a path of this repository. */
function pathsIn(document: string): string[] {
  const tops = readdirSync(root);
  return [...read(document).matchAll(/`([\w./-]+)`/g)]
    .map(([, span = ""]) => span.replace(/\/$/, ""))
    .filter((span) => span.includes("/") && tops.includes(span.split("/")[0] ?? ""));
}

test("ARCHITECTURE.md has a place for every folder", () => {
  const text = read("ARCHITECTURE.md");
  const rows = [...text.matchAll(/^\| (.*?) \|/gm)].map(([, places = ""]) => places);
  // What tests alone use stands beside what it tests, in folders of these names.
  const isTold = (top: string, name: string): boolean =>
    ["testing", "__snapshots__"].includes(name) ||
    rows.some((places) => places.includes(`\`${top}/`) && new RegExp(`[\`/]${name}[\`/]`).test(places));
  const missing = ["shared", "master", "agent"].flatMap((top) =>
    foldersIn(top)
      .filter((name) => !isTold(top, name))
      .map((name) => `${top}/${name}`),
  );
  expect(missing).toEqual([]);
});

test.each([
  "ARCHITECTURE.md",
  "README.md",
  "bench/README.md",
  "test/differential/README.md",
  ...readdirSync(join(root, "docs")).map((name) => `docs/${name}`),
])("what %s points to is there", (document) => {
  // k3s' own.
  const others = ["agent/images"];
  const missing = pathsIn(document).filter(
    (path) =>
      !others.includes(path) && !existsSync(join(root, path)) && !existsSync(join(root, dirname(document), path)),
  );
  expect(missing).toEqual([]);
});
