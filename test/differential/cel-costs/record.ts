/** Asks upstream's code and writes what it says; needs Go and a module proxy: bun test/differential/cel-costs/record.ts */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { questions } from "./questions.ts";

const child = Bun.spawnSync(["go", "run", "."], {
  cwd: join(import.meta.dir, "measure"),
  stdin: Buffer.from(JSON.stringify(questions)),
  stdout: "pipe",
  stderr: "inherit",
});
if (child.exitCode !== 0) process.exit(1);
writeFileSync(join(import.meta.dir, "answers.json"), child.stdout);
