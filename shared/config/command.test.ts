import { expect, test } from "bun:test";
import { Command } from "commander";
import { dnsOptions, kubeletOptions } from "./board-component-settings.ts";
import { runAsked, withSettings } from "./command.ts";
import { masterOptions } from "./settings.ts";

/** A command line that was read, and what runs of it. */
async function read(...words: string[]): Promise<{ program: Command; ran: unknown[] }> {
  const ran: unknown[] = [];
  const program = new Command("program").exitOverride();
  withSettings(program.command("dns"), dnsOptions, async ({ logLevel }, given, args) => {
    ran.push([logLevel, given["logLevel"], args]);
  });
  await program.parseAsync(words, { from: "user" });
  return { program, ran };
}

test("a command with settings runs once its flags were read, and only once", async () => {
  const { ran } = await read("dns", "--log-level", "debug");
  expect(ran).toEqual([]);
  await runAsked();
  await runAsked();
  expect(ran).toEqual([["debug", "debug", []]]);
});

test("while it runs nothing holds the commands and their flags", async () => {
  const running: Promise<void>[] = [];
  const programs: WeakRef<Command>[] = [];
  const end = Promise.withResolvers<void>();
  const many = 20;
  for (let count = 0; count < many; count++) {
    const program = new Command("program");
    withSettings(program.command("dns"), dnsOptions, () => end.promise);
    await program.parseAsync(["dns"], { from: "user" });
    programs.push(new WeakRef(program));
    running.push(runAsked());
  }
  // A stack that was used may still hold some.
  await Bun.sleep(1);
  Bun.gc(true);
  expect(programs.filter((program) => program.deref() === undefined).length).toBeGreaterThan(many / 2);
  end.resolve();
  await Promise.all(running);
});

test("-v stands for a log level, for whatever has one; gates are upstream's", async () => {
  const levels: string[] = [];
  const gates: unknown[] = [];
  const levelBy = async (...flags: string[]): Promise<string | undefined> => {
    const program = new Command("program").exitOverride();
    withSettings(program.command("master"), masterOptions, async ({ logLevel, featureGates }) => {
      levels.push(logLevel);
      gates.push(...featureGates);
    });
    withSettings(program.command("kubelet"), kubeletOptions, async ({ logLevel }) => {
      levels.push(logLevel);
    });
    await program.parseAsync(flags, { from: "user" });
    await runAsked();
    return levels.pop();
  };
  expect(await levelBy("master", "-v=4")).toBe("debug");
  expect(await levelBy("master", "-v", "2", "--log-level", "warn")).toBe("warn");
  expect(await levelBy("kubelet", "--v=5")).toBe("debug");
  await levelBy("master", "--feature-gates", "kube:SidecarContainers=T,MutatingAdmissionPolicy=true");
  expect(gates).toEqual(["SidecarContainers=T", "MutatingAdmissionPolicy=true"]);
  await expect(levelBy("master", "--feature-gates", "Nonsense=true")).rejects.toThrow(
    "feature-gates: unrecognized feature gate: Nonsense",
  );
  await expect(levelBy("master", "--feature-gates", "NodeSwap=no")).rejects.toThrow(
    'invalid value of NodeSwap=no, err: strconv.ParseBool: parsing "no": invalid syntax',
  );
});
