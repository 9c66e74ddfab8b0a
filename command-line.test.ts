import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, CommanderError } from "commander";
import { commandLine } from "./command-line.ts";

const program = commandLine();

/** A command and all below it, by what is typed to run it. */
function commandsBelow(command: Command, typed: string): [string, Command][] {
  return [[typed, command], ...command.commands.flatMap((each) => commandsBelow(each, `${typed} ${each.name()}`))];
}

const commands = commandsBelow(program, "bramble");

describe("help", () => {
  test("shows commands, and the many flags of a master, by what they are for", () => {
    const headings = (help: string): string[] => help.split("\n").filter((line) => /^[A-Z].*:$/.test(line));
    expect(headings(program.helpInformation())).toContain("The fleet:");
    expect(headings(program.helpInformation())).not.toContain("Commands:");
    const master = program.commands.find((command) => command.name() === "master");
    expect(headings(master?.helpInformation() ?? "")).toContain("Container runtime and images:");
    const plain = master?.options.filter(({ helpGroupHeading }) => helpGroupHeading === undefined) ?? [];
    expect(plain.length).toBeLessThan(10);
  });

  test.each(commands)("of %s fits into a terminal of 80 columns, but for what cannot be parted", (_, command) => {
    const wide = command
      .helpInformation()
      .split("\n")
      .filter((line) => line.length > 80);
    expect(wide.filter((line) => !/^ {2}--?\S+( [<[].*)?$/.test(line))).toEqual([]);
  });

  test.each(commands)("of %s says what each command, argument and flag is for", (_, command) => {
    expect(command.description()).not.toBe("");
    for (const argument of command.registeredArguments) {
      expect(argument.name()).toMatch(/^[A-Z]+$/);
      expect([argument.name(), argument.description]).not.toContain("");
    }
    for (const { long, description, helpGroupHeading = "" } of command.options) {
      expect(long).toMatch(/^--[a-z][a-z0-9-]*$/);
      // Of some, all that there is to say stands above them.
      if (!helpGroupHeading.includes("without effect")) expect([long, description]).not.toContain("");
    }
  });

  test("names what a value is in capitals, as a choice, or as what may follow", () => {
    const odd = commands.flatMap(([typed, command]) =>
      command.options
        .map(({ flags }) => flags)
        .filter((flags) => !/^(-\w, )?--[a-z0-9-]+( [<[]([A-Z][A-Z_=:[\],…-]*|[\w|-]+\|[\w|-]+)[>\]])?$/.test(flags))
        .map((flags) => `${typed} ${flags}`),
    );
    expect(odd).toEqual([]);
  });
});

test("a machine can be checked with every flag that it is to be started with", () => {
  const flagsOf = (name: string): string[] =>
    program.commands.find((command) => command.name() === name)?.options.map(({ long }) => long ?? "") ?? [];
  const known = new Set(flagsOf("check"));
  expect([...flagsOf("master"), ...flagsOf("worker")].filter((flag) => !known.has(flag))).toEqual([]);
});

/** What a document shows as code: blocks, and spans in a line. A span may go on in the next line. */
function codeOf(file: string): string[] {
  const text = readFileSync(join(import.meta.dir, file), "utf8");
  if (!file.endsWith(".md")) return text.split("\n");
  const blocks = [...text.matchAll(/^```\w*\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block.replaceAll("\\\n", " "));
  const spans = [...text.replaceAll(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`]+)`/g)].map(([, span = ""]) =>
    span.replace(/\s+/g, " "),
  );
  return [...blocks.flatMap((block) => block.split("\n")), ...spans];
}

/** What is wrong with the invocations of `bramble` in a line, by the commands that there are. */
function faultsIn(line: string): string[] {
  return [...line.matchAll(/(?:^|[\s"'(`])bramble ((?:help )?[a-z].*)/g)].flatMap(([, rest = ""]) => {
    const words = (rest.split(/[|;#)`"'&]|\s{2,}/)[0] ?? "")
      .split(" ")
      .filter((word) => word !== "" && word !== "help");
    // `bramble help COMMAND`
    if (!/^[a-z]/.test(words[0] ?? "")) return [];
    let command = program;
    for (const word of words) {
      const next = command.commands.find((each) => each.name() === word || each.aliases().includes(word));
      if (!next) break;
      command = next;
    }
    // kubectl's own.
    if (command.name() === "kubectl") return [];
    if (command === program) return [`no such command: bramble ${words.join(" ")}`];
    const known = new Set(command.options.map(({ long }) => long));
    return words
      .filter((word) => word.startsWith("--"))
      .map((word) => word.replace(/[=.,…].*$/, ""))
      .filter((flag) => !known.has(flag) && flag !== "--help")
      .map((flag) => `${command.name()} has no ${flag}: bramble ${rest}`);
  });
}

/** Flags of scripts and of other programs. */
const othersFlags = new Map<string, readonly string[]>([
  ["docs/install.md", ["--image", "--arch", "--kubelet-root-dir"]],
]);

const documents = [
  "README.md",
  "ARCHITECTURE.md",
  "docs/authentication.md",
  "docs/devices.md",
  "docs/install.md",
  "docs/mqtt.md",
  "docs/registries.md",
  "docs/threat-model.md",
  "install.sh",
  "bramble-uninstall.sh",
];

test.each(documents)("what %s tells people to type can be typed", (file) => {
  expect(codeOf(file).flatMap(faultsIn)).toEqual([]);
});

test.each(documents.filter((file) => file.endsWith(".md")))("a flag that %s names by itself is one", (file) => {
  const known = new Set(commands.flatMap(([, { options }]) => options.map(({ long }) => long)));
  const named = codeOf(file)
    .filter((code) => code.startsWith("--"))
    .flatMap((code) => code.match(/--[a-z][a-z0-9-]*/g) ?? []);
  expect(named.filter((flag) => !known.has(flag) && !(othersFlags.get(file) ?? []).includes(flag))).toEqual([]);
});

test("help of a command within another is its own, and of no command an error", async () => {
  const run = async (...words: string[]): Promise<string> => {
    let text = "";
    const told = commandLine();
    for (const [, command] of commandsBelow(told, ""))
      command
        .exitOverride()
        .configureOutput({ writeOut: (more) => (text += more), writeErr: (more) => (text += more) });
    await told.parseAsync(words, { from: "user" }).catch((error: unknown) => {
      if (!(error instanceof CommanderError)) throw error;
    });
    return text;
  };
  expect(await run("help", "token", "revoke")).toStartWith("Usage: bramble token delete|revoke [options] <ID>");
  expect(await run("help", "kubectl")).toStartWith("Usage: bramble kubectl [ARGUMENTS...]");
  expect(await run("help", "token", "steal")).toStartWith("error: unknown command 'token steal'");
  expect(await run("etcd", "members", "--help")).toContain("the flags of `bramble master`");
});

test("a flag that wants a whole number takes nothing else", () => {
  for (const [typed, command] of commands) {
    for (const option of command.options.filter(({ defaultValue }) => typeof defaultValue === "number")) {
      const parse = (text: string): unknown => option.parseArg?.(text, undefined);
      expect([typed, parse("7000")]).toEqual([typed, 7000]);
      for (const text of ["soon", "-1", "1.5", "", "1e3", "9".repeat(20)])
        expect(() => parse(text)).toThrow("a whole number");
    }
  }
});

test("a reader that has enough of what a command prints ends it without a word", () => {
  const { stderr } = Bun.spawnSync({
    cmd: ["sh", "-c", `for _ in 1 2 3; do "$0" bramble.ts help master | true; done`, process.execPath],
    cwd: import.meta.dir,
    stderr: "pipe",
  });
  expect(stderr.toString()).toBe("");
});
