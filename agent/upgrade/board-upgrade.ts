import { nodes } from "#shared/api/resources.ts";
import type { Node } from "#shared/api/types/core-v1.generated.ts";
import { previousVersionAnnotation, upgradeFailedAnnotation, upgradeToAnnotation } from "#shared/board/upgrade.ts";
import type { Client } from "#shared/client/client.ts";
import { type Clock, systemClock } from "#shared/client/clock.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { PromptedLoop } from "#shared/client/prompted-loop.ts";
import { gitVersionOf, version } from "#shared/version.ts";
import type { InstalledProgram } from "./program.ts";
import { downloadProgram, offeredRelease, type ReleaseSource } from "./release-download.ts";
import { failed, passed, type UpgradeFile, type UpgradeState, withoutFailure } from "./upgrade-state.ts";

export interface BoardUpgradeOptions {
  readonly nodeName: string;
  readonly client: Client;
  readonly informers: InformerFactory;
  readonly file: UpgradeFile;
  readonly program: InstalledProgram;
  readonly source: ReleaseSource;
  /** A broker hears this board. */
  readonly isHeard: () => boolean;
  /** Ends the agent, announced; whatever keeps it running starts the program that is in place then. */
  readonly restart: () => void;
  readonly log: Log;
  readonly clock?: Clock;
}

/** A program on trial is well when its Node was Ready and it was heard for so long, */
const well_ms = 10_000;
/** and is given up when that has not come within */
const patience_ms = 10 * 60_000;
const trialLook_ms = 2_000;
/** What may be better next time (a master that is away, a download that was cut) is tried again, later each time. */
const retry_ms = { first: 30_000, longest: 600_000 } as const;

/**
 * Brings this board to the version that its Node asks for (`bramble.dev/upgrade-to`): downloads it from the master, tries
 * it on this processor, puts it in place and restarts. A program that does not become well is replaced by the one before;
 * pods go on all the while.
 */
export class BoardUpgrade {
  readonly #options: BoardUpgradeOptions;
  readonly #clock: Clock;
  readonly #startedAt_ms: number;
  #wellSince_ms: number | undefined;
  #retryAt_ms = 0;
  #retryAfter_ms: number = retry_ms.first;
  #trouble: string | undefined;
  readonly #loop: PromptedLoop;
  #detach: () => void = () => undefined;

  constructor(options: BoardUpgradeOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#startedAt_ms = this.#clock.now_ms();
    this.#loop = new PromptedLoop(() => this.#run(), this.#clock);
  }

  start(): void {
    const { informers, nodeName } = this.#options;
    this.#detach = informers.informer(nodes).addHandler(({ object }) => {
      if (object.metadata.name === nodeName) this.#loop.prompt();
    });
    this.#loop.prompt();
  }

  async stop(): Promise<void> {
    this.#detach();
    await this.#loop.stop();
  }

  async #run(): Promise<number | undefined> {
    try {
      return await this.#look();
    } catch (error) {
      this.#options.log.warn("upgrade: trying again", { error });
      return retry_ms.first;
    }
  }

  /** One step. @returns when to look again, in milliseconds, if nothing happens before. */
  async #look(): Promise<number | undefined> {
    const { informers, nodeName, file } = this.#options;
    const node = informers.lister(nodes).get(nodeName);
    const state = await file.read();
    if (state.trial?.to === version) return this.#judgeTrial(node, state);
    if (!node) return undefined;
    const wanted = node.metadata.annotations?.[upgradeToAnnotation];
    if (wanted !== undefined && wanted !== version && wanted !== state.failure?.version)
      return this.#tryFor(wanted, node, state);
    this.#trouble = undefined;
    // Who asks for nothing any more may ask for the same again.
    const next = wanted === undefined ? withoutFailure(state) : state;
    if (next.failure !== state.failure) await file.write(next);
    await this.#tell(node, next, wanted === version);
    return undefined;
  }

  async #judgeTrial(node: Node | undefined, state: UpgradeState): Promise<number | undefined> {
    const { file, program, restart, isHeard, log } = this.#options;
    const now_ms = this.#clock.now_ms();
    const isWell = node !== undefined && isReadyWith(node, version) && isHeard();
    this.#wellSince_ms = isWell ? (this.#wellSince_ms ?? now_ms) : undefined;
    if (this.#wellSince_ms !== undefined && now_ms - this.#wellSince_ms >= well_ms) {
      const next = passed(state);
      await file.write(next);
      log.info("upgraded", { from: state.trial?.from, to: version });
      if (node) await this.#tell(node, next, true);
      return undefined;
    }
    if (now_ms - this.#startedAt_ms < patience_ms) return trialLook_ms;
    const next = failed(state, `the board was not Ready within ${patience_ms / 60_000} minutes`);
    log.error("this program does not become well: going back", { to: state.trial?.from });
    await file.write(next);
    await program.restore();
    restart();
    return undefined;
  }

  async #tryFor(wanted: string, node: Node, state: UpgradeState): Promise<number | undefined> {
    const wait_ms = this.#retryAt_ms - this.#clock.now_ms();
    if (wait_ms > 0) return wait_ms;
    try {
      const failure = await this.#upgrade(wanted, state);
      if (failure === undefined) return undefined;
      const next = { ...state, failure: { version: wanted, message: failure } };
      await this.#options.file.write(next);
      await this.#tell(node, next, false);
      return undefined;
    } catch (error) {
      if (this.#loop.hasEnded) return undefined;
      this.#trouble = (error as Error).message;
      this.#options.log.warn("upgrade: trying again", { to: wanted, error });
      await this.#tell(node, state, false);
      const after_ms = this.#retryAfter_ms;
      this.#retryAfter_ms = Math.min(after_ms * 2, retry_ms.longest);
      this.#retryAt_ms = this.#clock.now_ms() + after_ms;
      return after_ms;
    }
  }

  /** @returns what makes this version impossible here; undefined when it is in place. Rejects for what may pass. */
  async #upgrade(wanted: string, state: UpgradeState): Promise<string | undefined> {
    const { file, program, source, restart, log } = this.#options;
    const obstacle = program.obstacle;
    if (obstacle !== undefined) return obstacle;
    const trial: UpgradeState = { ...state, trial: { from: version, to: wanted, starts: 0 } };
    if (wanted === state.previous && (await program.hasPrevious())) {
      log.info("going back", { from: version, to: wanted });
      await file.write(trial);
      await program.swapBack();
      restart();
      return undefined;
    }
    const release = await offeredRelease(source);
    if (release.version !== wanted) throw new Error(`${release.server} hands out ${release.version}, not ${wanted}`);
    log.info("upgrading", { from: version, to: wanted, server: release.server });
    await downloadProgram(source, release, program.staged);
    const fault = await program.tryStaged(wanted);
    if (fault !== undefined) return fault;
    await file.write(trial);
    await program.replace();
    restart();
    return undefined;
  }

  /** What the Node says of this board's upgrades; written only when it differs. */
  async #tell(node: Node, state: UpgradeState, isDone: boolean): Promise<void> {
    const { failure } = state;
    const failureText = failure
      ? `${failure.version}: ${failure.message}`
      : this.#trouble && `trying again: ${this.#trouble}`;
    const wanted: Record<string, string | undefined> = {
      [previousVersionAnnotation]: state.previous,
      [upgradeFailedAnnotation]: failureText,
      ...(isDone ? { [upgradeToAnnotation]: undefined } : {}),
    };
    const present = node.metadata.annotations ?? {};
    const changes = Object.entries(wanted).filter(([key, value]) => present[key] !== value);
    if (changes.length === 0) return;
    const annotations = Object.fromEntries(changes.map(([key, value]) => [key, value ?? null]));
    const { client, nodeName } = this.#options;
    await client.patch(nodes, { name: nodeName }, { type: "merge", body: { metadata: { annotations } } });
  }
}

function isReadyWith({ status }: Node, build: string): boolean {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status === "True";
  return ready && status?.nodeInfo?.kubeletVersion === gitVersionOf(build);
}
