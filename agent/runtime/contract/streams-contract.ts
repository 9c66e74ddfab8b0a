import { expect, test } from "bun:test";
import { setTimeout as delay } from "node:timers/promises";
import { type ContainerRuntime, RuntimeError } from "../runtime.ts";
import { eventually, type RuntimeBench, shell, sleeper, text } from "./runtime-bench.ts";

/** What goes in and out of containers: exec, attach, logs, ports. */
export function streamsContract(bench: RuntimeBench): void {
  test("exec with and without input; exit codes; stderr apart", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, sleeper);
      const done = await bench.runtime.execSync(id, ["sh", "-c", "echo out; echo err >&2; exit 4"], 30_000);
      expect(done).toEqual({ exitCode: 4, stdout: "out\n", stderr: "err\n", timedOut: false });
      // What a hook gets, which may run as long as its container does.
      const unbounded = await bench.runtime.execSync(id, ["sh", "-c", "exit 5"], 2_147_483_647);
      expect(unbounded).toMatchObject({ exitCode: 5, timedOut: false });
      const much = await bench.runtime.execSync(id, ["sh", "-c", "yes | head -c 300000"], 30_000, 1000);
      expect(much.stdout).toHaveLength(1000);
      const session = await bench.runtime.exec(id, {
        command: ["cat"],
        stdin: true,
        stdout: true,
        stderr: true,
        tty: false,
      });
      session.stdin?.end("through\n");
      expect(await text(session.stdout)).toBe("through\n");
      expect(await session.exited).toBe(0);
    });
  });

  test("exec with a terminal has its size", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, sleeper);
      // A size that is told may take hold a moment later.
      const untilSized = 'read line; until [ "$(stty size 2>&1)" = "45 123" ]; do sleep 0.1; done; stty size';
      const session = await bench.runtime.exec(id, {
        command: ["sh", "-c", untilSized],
        stdin: true,
        stdout: true,
        stderr: true,
        tty: true,
      });
      await session.resize(123, 45);
      session.stdin?.write("go\n");
      expect(await text(session.stdout)).toContain("45 123");
      expect(await session.exited).toBe(0);
    });
  });

  test("an exec that runs out of time is killed, with its children", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, sleeper);
      const runFor = (ms: number) => bench.runtime.execSync(id, ["sh", "-c", "echo begun; sleep 4321 & wait"], ms);
      let result = await runFor(1_000);
      // On a busy machine one may run out of time before it has begun.
      for (let limit_ms = 2_000; result.timedOut && result.stdout === ""; limit_ms *= 2)
        result = await runFor(limit_ms);
      expect(result).toMatchObject({ timedOut: true, stdout: "begun\n" });
      // What is killed takes a moment to die.
      await eventually(async () => {
        const { stdout } = await bench.runtime.execSync(id, ["ps"], 30_000);
        expect(stdout).not.toContain("4321");
      });
    });
  });

  test("an exec whose time is up before it has begun is killed as well, with its children", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, sleeper);
      const result = await bench.runtime.execSync(id, ["sh", "-c", "sleep 4321 & wait"], 1);
      expect(result).toMatchObject({ timedOut: true, exitCode: 137 });
      // What is killed takes a moment to die.
      await eventually(async () => {
        const { stdout } = await bench.runtime.execSync(id, ["ps"], 30_000);
        expect(stdout).not.toContain("4321");
      });
    });
  });

  test("attach reaches the main process", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const reader = shell('while read line; do echo "got $line"; [ "$line" = end ] && exit 0; done');
      const id = await bench.start(sandboxId, sandbox, { ...reader, stdin: true, stdinOnce: true });
      const session = await bench.runtime.attach(id, { stdin: true, stdout: true, stderr: true });
      let said = "";
      session.stdout.on("data", (chunk) => {
        said += String(chunk);
      });
      // Some runtimes take input before they pass on output.
      await eventually(async () => {
        session.stdin?.write("hello\n");
        await delay(20);
        if (!said.includes("got hello\n")) throw new Error("nothing heard yet");
      });
      session.stdin?.write("end\n");
      expect(await session.exited).toBe(0);
    });
  });

  test("attach ends with the process, and tells no exit code", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, { ...shell("read line; exit 3"), stdin: true, stdinOnce: true });
      const session = await bench.runtime.attach(id, { stdin: true, stdout: true, stderr: true });
      session.stdout.resume();
      session.stderr?.resume();
      session.stdin?.write("go\n");
      expect(await session.exited).toBe(0);
      expect((await bench.ended(id, sandbox.pod.uid)).exitCode).toBe(3);
    });
  });

  test("attach has what a process said that only just began", async () => {
    if (!bench.attachesFromTheStart) return;
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const asking = { ...shell("echo name?; read line; echo $line"), stdin: true, stdinOnce: true };
      const id = await bench.start(sandboxId, sandbox, asking);
      await eventually(async () => {
        if ((await bench.output(id)) !== "name?\n") throw new Error("nothing said yet");
      });
      const session = await bench.runtime.attach(id, { stdin: true, stdout: true, stderr: true });
      session.stderr?.resume();
      session.stdin?.write("jane\n");
      expect(await text(session.stdout)).toBe("name?\njane\n");
    });
  });

  test("attach ends with its input where the process waits for more", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, { ...shell("cat"), stdin: true });
      const session = await bench.runtime.attach(id, { stdin: true, stdout: true, stderr: true });
      session.stdout.resume();
      session.stderr?.resume();
      session.stdin?.end("told\n");
      expect(await session.exited).toBe(0);
    });
  });

  test("attach to a process that has ended does not wait for ever", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, { ...shell("echo said"), stdin: true, stdinOnce: true });
      await bench.ended(id, sandbox.pod.uid);
      const ending = bench.runtime.attach(id, { stdin: true, stdout: true, stderr: true }).then(async (session) => {
        session.stderr?.resume();
        const said = await text(session.stdout);
        await session.exited;
        return said;
      });
      const outcome = await ending.catch((error: unknown) => error instanceof RuntimeError);
      if (bench.attachesFromTheStart) expect(outcome).toBe("said\n");
      // That there is nothing to attach to, or nothing more to hear.
      else expect(outcome).toBeOneOf([true, ""]);
    });
  });

  test("logs: tail, stamps, streams, limit, follow to the end", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const long = "head -c 40000 /dev/zero | tr '\\0' x; echo";
      const id = await bench.start(sandboxId, sandbox, shell(`for i in 1 2 3; do echo o$i; done; echo e >&2; ${long}`));
      const followed = text(await bench.runtime.logs(id, { follow: true, timestamps: false }));
      await bench.ended(id, sandbox.pod.uid);
      const whole = await bench.output(id);
      expect(await followed).toHaveLength(whole.length);
      const read = async (options: Parameters<ContainerRuntime["logs"]>[1]) =>
        text(await bench.runtime.logs(id, options));
      expect(await read({ follow: false, timestamps: false, stream: "stderr" })).toBe("e\n");
      expect(await read({ follow: false, timestamps: false, limit_bytes: 5 })).toBe(whole.slice(0, 5));
      const stamped = await read({ follow: false, timestamps: true, stream: "stdout" });
      const lines = stamped.trim().split("\n");
      expect(lines).toHaveLength(4);
      expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{9})?Z o1$/);
      expect(lines[3]).toMatch(/^\S+ x{40000}$/);
      expect(await read({ follow: false, timestamps: false, since_ms: Date.now() + 60_000 })).toBe("");
      const tail = await read({ follow: false, timestamps: false, tailLines: 0 });
      expect(tail).toBe("");
    });
  });

  test("a port of a sandbox is reached from outside its network", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      await bench.start(sandboxId, sandbox, { command: ["nc", "-ll", "-p", "8080", "-e", "cat"] });
      const connection = await eventually(() => bench.runtime.portForward(sandboxId, 8080));
      const sent = "x".repeat(1_000_000);
      const answer = text(connection);
      connection.end(sent);
      expect((await answer).length).toBe(sent.length);
      const refused = `failed to connect to localhost:9 inside namespace "${sandboxId}": dial tcp 127.0.0.1:9: connect: connection refused`;
      await expect(bench.runtime.portForward(sandboxId, 9)).rejects.toMatchObject({
        kind: "network",
        message: refused,
      });
    });
  });
}
