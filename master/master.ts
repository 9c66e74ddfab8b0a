import type { RunningAgent, StartAgent } from "#shared/board/start-agent.ts";
import type { Client } from "#shared/client/client.ts";
import { type Log, stderrLog } from "#shared/client/log.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { formatJoinToken } from "#shared/pki/join-token.ts";
import { Parts } from "#shared/process/parts.ts";
import { noteProcess } from "#shared/process/process-note.ts";
import { collectWhenQuiet } from "#shared/process/quiet-collection.ts";
import { untilSignalled } from "#shared/process/signals.ts";
import { startWatchdog } from "#shared/process/watchdog.ts";
import { startControllerManager, startScheduler, startServerControllers } from "./control-loops.ts";
import { controllerUser } from "./controllers/manager.ts";
import { controllerManagerUser, schedulerUser } from "./identities.ts";
import { type CheckedPart, onceInCluster } from "./leadership.ts";
import { startManifests } from "./manifests/manifest-folder.ts";
import { markControlPlane } from "./own-board.ts";
import {
  leaderEventSource,
  type SchedulerConfiguration,
  schedulerConfigurationOf,
} from "./scheduler/configuration/configuration.ts";
import { type ServingMaster, startServing } from "./serving.ts";

/** `bramble master`: runs the control plane, and an agent on this board if one is given, until it is told to end. */
export async function runMaster(given: MasterSettings, startAgent: StartAgent | undefined): Promise<void> {
  const log = stderrLog(given.logLevel);
  const parts = new Parts(log);
  const watchdog = startWatchdog(log);
  parts.add("watchdog", watchdog);
  // Read first: a file that is wrong is said before anything runs.
  const schedulerConfiguration = schedulerConfigurationOf(given.schedulerConfig);
  const forget = noteProcess(given.runDir, "master");
  const serving = await startServing(given, log, parts);
  const { settings, server, own, components } = serving;
  // A store of this process's own; an etcd that is away is not brought back by starting anew.
  if (!serving.isShared) watchdog.ask(serving.storeAnswers);

  const controllers = await startControllers(serving, log);
  components.set("controller-manager", () => controllers.check());
  parts.add("controller manager", controllers);
  const scheduler = await startScheduling(serving, schedulerConfiguration, log);
  components.set("scheduler", () => scheduler.check());
  parts.add("scheduler", scheduler);
  parts.add("manifests", await startManifests(settings, own, log));

  const ended = untilSignalled();
  const agent = startAgent && new OwnAgent(startAgent, serving, log);
  parts.add("collections", { stop: collectWhenQuiet(() => server.forgetOld()) });
  const signal = await ended;
  log.info("ending; pods go on", { signal });
  await agent?.stop();
  await parts.stop();
  forget();
}

/** Who the component is that only one master of the cluster runs: its Lease, and whom its Events come from. */
interface Elected {
  readonly lease: string;
  readonly eventSource: string;
  readonly client: Client;
}

/** Alone over its store, this master need not ask anybody who leads. */
const once = async (
  { isShared }: ServingMaster,
  elected: Elected,
  log: Log,
  start: (signal?: AbortSignal) => Promise<CheckedPart>,
): Promise<CheckedPart> => (isShared ? onceInCluster({ ...elected, log }, start) : start());

function startControllers(serving: ServingMaster, log: Log): Promise<CheckedPart> {
  const { settings, server, own, keys } = serving;
  const client = server.client(controllerManagerUser);
  const elected = { lease: "kube-controller-manager", eventSource: "kube-controller-manager", client };
  return once(serving, elected, log, async (signal) => {
    const ownLoops = startServerControllers(own, log, server.health.steps);
    const manager = await startControllerManager({
      settings,
      ca: () => keys.current.authorities.ca,
      rootCa: () => keys.current.authorities.trusted,
      issuer: serving.issuer,
      client,
      clientFor: (account) => server.client(controllerUser(account)),
      log,
      signal,
    });
    return {
      check: () => manager.check(),
      async stop() {
        await manager.stop();
        await ownLoops.stop();
      },
    };
  });
}

function startScheduling(
  serving: ServingMaster,
  configuration: SchedulerConfiguration,
  log: Log,
): Promise<CheckedPart> {
  const client = serving.server.client(schedulerUser);
  const elected = { lease: "kube-scheduler", eventSource: leaderEventSource(configuration), client };
  return once(serving, elected, log, async () => startScheduler(client, log, configuration));
}

/** The agent of the master's own board. Nothing of the control plane waits for it: pods of this board are no reason for that
 *  to be away. */
class OwnAgent {
  readonly #ending = new AbortController();
  #running: RunningAgent | undefined;

  constructor(startAgent: StartAgent, { settings, keys, own }: ServingMaster, log: Log) {
    startAgent({
      settings,
      servers: [`https://127.0.0.1:${settings.httpsPort}`],
      token: formatJoinToken(keys.current.joinToken),
      brokers: [`mqtts://localhost:${settings.mqttPort}`],
      // The master is what others are upgraded from: install.sh brings it up to date; and it is never elsewhere.
      disabled: [...settings.disable, "upgrade", "mdns"],
    }).then(
      (running) => {
        this.#running = running;
        const { signal } = this.#ending;
        markControlPlane(own, running.nodeName, signal).catch(
          (error: unknown) => signal.aborted || log.warn("this board's Node shows no role", { error }),
        );
      },
      (error: unknown) => log.error("this board's agent did not start", { error }),
    );
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running?.stop();
  }
}
