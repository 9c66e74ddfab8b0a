/** Commands whose flags are settings, of a file too. */
import { type Command, Option as Flag, InvalidArgumentError } from "commander";
import { type ComponentForm, readComponentConfiguration } from "./component-configuration.ts";
import { kindOfDocument } from "./document.ts";
import { loadSettings } from "./load.ts";
import type { Option, Options, ValuesOf } from "./option.ts";
import { masterOptions, workerOptions } from "./settings.ts";

export const configFile = "/etc/bramble/config.yaml";
export const kubeconfigFile = "/etc/bramble/kubeconfig.yaml";

/** What the command line asked for with settings; the last one, for there is one command line to a process. */
let asked: (() => Promise<void>) | undefined;

/** Runs what the command line asked for, if that is a command with settings. Apart from reading it, so that while a master or
 *  worker runs nothing holds all commands and their flags any more. */
export async function runAsked(): Promise<void> {
  const run = asked;
  asked = undefined;
  await run?.();
}

/** Gives a command the flags of `options`; once it was parsed, `runAsked` runs it with the settings of file and flags. */
export function withSettings<O extends Options>(
  command: Command,
  options: O,
  run: (
    settings: ValuesOf<O>,
    given: Readonly<Record<string, unknown>>,
    args: readonly (string | undefined)[],
  ) => Promise<void>,
  { document, listedBy }: SettingsForm = {},
): Command {
  const orDocument = document ? `, or a ${document.kind}` : "";
  command.option("--config <FILE>", `file of settings (default: ${configFile}, where it is there)${orDocument}`);
  if (document?.hasDropIns)
    command.option(
      "--config-dir <DIR>",
      "folder of files *.conf, each a KubeletConfiguration that changes some fields of it",
    );
  for (const option of Object.values(options)) {
    const flag = new Flag(usageOf(option), describe(option));
    if (option.repeatable) flag.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
    if (option.heading !== undefined) flag.helpGroup(option.heading);
    command.addOption(flag.hideHelp(listedBy !== undefined));
  }
  if (listedBy !== undefined)
    command.addHelpText("after", `\nIt also takes the flags of \`${listedBy}\` and reads those that concern it.`);
  return command.action(() => {
    const given = command.opts();
    const flags = Object.fromEntries(
      Object.values(options).map((option) => [option.name, givenValue(given, option.name)]),
    );
    let named = given["config"] as string | undefined;
    const dropIns = given["configDir"] as string | undefined;
    const isDocument = named !== undefined && document !== undefined && kindOfDocument(named) === document.kind;
    if (document && (isDocument || dropIns !== undefined)) {
      const own = document.read(isDocument ? named : undefined, dropIns);
      for (const [name, value] of Object.entries(own)) flags[name] ??= value;
      if (isDocument) named = undefined;
    }
    // One file serves both roles, so a key of the other one is no mistake.
    const otherNames = Object.values({ ...masterOptions, ...workerOptions }).map(({ name }) => name);
    const settings = loadSettings(options, flags, {
      path: named ?? configFile,
      required: named !== undefined,
      otherNames,
    });
    tellWithoutEffect(options, settings);
    asked = askedFor(run, heedingVerbosity(settings), given, command.args);
  });
}

/** Who sets something that changes nothing is to know. */
function tellWithoutEffect<O extends Options>(options: O, settings: ValuesOf<O>): void {
  const named = Object.entries(options)
    .filter(([key, { isWithoutEffect, fallback }]) => isWithoutEffect && !Bun.deepEquals(settings[key], fallback))
    .map(([, { name }]) => `--${name}`);
  if (named.length > 0) console.error(`bramble: without effect here: ${named.join(", ")}`);
}

const DEBUG_FROM = 4;

/** What of `-v` and `--log-level` tells more counts as the log level, where a command has both. */
function heedingVerbosity<S extends object>(settings: S): S {
  const { v, logLevel } = settings as { readonly v?: number; readonly logLevel?: unknown };
  return logLevel !== undefined && v !== undefined && v >= DEBUG_FROM ? { ...settings, logLevel: "debug" } : settings;
}

/** A function of its own, so that what it gives holds nothing else. */
function askedFor<A extends readonly unknown[]>(run: (...args: A) => Promise<void>, ...args: A): () => Promise<void> {
  return () => run(...args);
}

export interface SettingsForm {
  /** A document of upstream's that `--config` may name instead of a file of settings. */
  readonly document?: UpstreamDocument | undefined;
  /** The command whose help lists these settings, where this one takes them only to know of a cluster that is there. */
  readonly listedBy?: string | undefined;
}

/** A flag that is no setting and whose value is a whole number: 120 of `--timeout 120`. */
export function wholeNumberFlag(usage: string, description: string, range: { fallback: number; min: number }): Flag {
  const parse = (text: string): number => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= range.min) return value;
    throw new InvalidArgumentError(`It is to be a whole number, ${range.min} or more.`);
  };
  return new Flag(usage, description).argParser(parse).default(range.fallback);
}

export interface UpstreamDocument {
  readonly kind: string;
  /** The settings that it stands for, by their names; flags win. Throws ConfigError. */
  readonly read: (path: string | undefined, dropIns?: string) => Readonly<Record<string, unknown>>;
  /** May files of a folder change some of it? */
  readonly hasDropIns?: boolean | undefined;
}

export function documentOf(form: ComponentForm, { hasDropIns = false } = {}): UpstreamDocument {
  const read = (path: string | undefined, dropIns?: string): Readonly<Record<string, unknown>> => {
    const { settings, withoutEffect } = readComponentConfiguration(path, form, dropIns);
    if (withoutEffect.length > 0)
      console.error(`bramble: ${path ?? dropIns}: without effect here: ${withoutEffect.join(", ")}`);
    return settings;
  };
  return { kind: form.kind, read, hasDropIns };
}

function usageOf({ name, placeholder, isValueOptional }: Option<unknown>): string {
  if (placeholder === undefined) return `--${name}`;
  if (name.length === 1) return `-${name}, --${name} <${placeholder}>`;
  return isValueOptional ? `--${name} [${placeholder}]` : `--${name} <${placeholder}>`;
}

function describe({ description, fallback, format }: Option<unknown>): string {
  if (fallback === undefined) return description;
  const shown = Array.isArray(fallback) ? fallback.join(", ") : (format?.(fallback) ?? String(fallback));
  return shown === "" || shown === "false" ? description : `${description} (default: ${shown})`;
}

/** commander keeps `--data-dir` as dataDir, and takes `--no-agent` for a negation: as agent, true unless it was given. */
function givenValue(given: Record<string, unknown>, name: string): unknown {
  const camelCase = (text: string): string => text.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  if (name.startsWith("no-")) return given[camelCase(name.slice(3))] === false ? true : undefined;
  return given[camelCase(name)];
}
