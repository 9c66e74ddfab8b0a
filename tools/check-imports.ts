/**
 * Fails when an import points the wrong way: the command line → master|agent → shared, and master and agent never meet.
 * Tests, tools and benchmarks may import anything; nothing of the product imports them.
 */
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");

/** What the files of a top folder may import besides themselves. */
const allowed: Record<string, readonly string[]> = {
  shared: [],
  master: ["shared"],
  agent: ["shared"],
  "command-line.ts": ["master", "agent", "shared"],
  "bramble.ts": ["command-line.ts", "shared"],
};

const transpilers = { ts: new Bun.Transpiler({ loader: "ts" }), tsx: new Bun.Transpiler({ loader: "tsx" }) };
const faults: string[] = [];
let files = 0;

for (const file of new Bun.Glob("{shared,master,agent}/**/*.{ts,tsx}").scanSync({ cwd: root })) {
  if (!file.includes("node_modules") && !isTest(file)) check(file);
}
for (const file of ["bramble.ts", "command-line.ts"]) check(file);

for (const fault of faults) console.error(fault);
console.log(`imports: ${files} files, ${faults.length} pointing the wrong way`);
process.exit(faults.length > 0 ? 1 : 0);

function isTest(file: string): boolean {
  return /(\.test|-contract)\.tsx?$/.test(file);
}

function check(file: string): void {
  files++;
  const from = topFolder(file);
  const text = readFileSync(join(root, file), "utf8").replace(/^#!.*/, "");
  const typeImports = [...text.matchAll(/^(?:import|export) type [^;]*? from "([^"]+)"/gm)].map(
    (match) => match[1] ?? "",
  );
  const valueImports = transpilers[file.endsWith("x") ? "tsx" : "ts"].scanImports(text).map((found) => found.path);
  for (const path of new Set([...valueImports, ...typeImports])) {
    const to = targetFolder(file, path);
    if (to !== undefined && to !== from && !(allowed[from] ?? []).includes(to)) {
      faults.push(`${file}: imports ${path}; ${from} may import only ${allowed[from]?.join(", ") || "itself"}`);
    }
    if (isTest(path)) faults.push(`${file}: imports the test ${path}`);
  }
}

/** undefined for packages and built-in modules. */
function targetFolder(file: string, path: string): string | undefined {
  if (path.startsWith("#")) return topFolder(path.slice(1));
  if (path.startsWith(".")) return topFolder(relative(root, resolve(root, dirname(file), path)));
  return undefined;
}

function topFolder(file: string): string {
  return file.split("/")[0] ?? file;
}
