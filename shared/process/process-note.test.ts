import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noteProcess, runningProcess } from "./process-note.ts";

test("a second program of a kind is told which one runs", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-pid-"));
  const other = Bun.spawn(["sleep", "infinity"]);
  try {
    const began = readFileSync(`/proc/${other.pid}/stat`, "utf8").replace(/.*\) /, "").split(" ")[19];
    writeFileSync(join(folder, "master.pid"), `${other.pid} ${began}\n`);
    expect(() => noteProcess(folder, "master")).toThrow(`runs on this board already (PID ${other.pid})`);
    noteProcess(folder, "worker")();
  } finally {
    other.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});

test("one that has ended runs no more, whether or not its parent has asked about it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-pid-"));
  // The parent becomes a program that asks about nobody; its child ends with what it reads.
  const script = "exec 3<&0; cat <&3 & echo $!; exec sleep infinity";
  const parent = Bun.spawn(["sh", "-c", script], { stdin: "pipe", stdout: "pipe" });
  try {
    const { value } = await parent.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(value).trim());
    const stat = (): string[] => readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /, "").split(" ");
    writeFileSync(join(folder, "etcd.pid"), `${pid} ${stat()[19]}\n`);
    expect(runningProcess(folder, "etcd")).toBe(pid);
    await parent.stdin.end();
    while (stat()[0] !== "Z") await Bun.sleep(5);
    expect(runningProcess(folder, "etcd")).toBeUndefined();
  } finally {
    parent.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
});

test("a program is found by its note, and no other process that got its id", () => {
  const folder = mkdtempSync(join(tmpdir(), "bramble-pid-"));
  try {
    expect(runningProcess(folder, "worker")).toBeUndefined();
    const forget = noteProcess(folder, "worker");
    expect(runningProcess(folder, "worker")).toBe(process.pid);
    const note = join(folder, "worker.pid");
    writeFileSync(note, `${readFileSync(note, "utf8").trim()}1\n`);
    expect(runningProcess(folder, "worker")).toBeUndefined();
    forget();
    expect(runningProcess(folder, "worker")).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
