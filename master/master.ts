import type { RunningAgent, StartAgent } from "#shared/board/start-agent.ts";
import type { Client } from "#shared/client/client.ts";
import { stderrLog } from "#shared/client/log.ts";
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
import { leaderEventSource, schedulerConfigurationOf } from "./scheduler/configuration/configuration.ts";
import { startServing } from "./serving.ts";

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
  const { settings, server, own, keys, components } = serving;
  // A store of this process's own; an etcd that is away is not brought back by starting anew.
  if (!serving.isShared) watchdog.ask(serving.storeAnswers);
  // Alone over its store, this master need not ask anybody who leads.
  const once = async (
    lease: string,
    eventSource: string,
    client: Client,
    start: () => Promise<CheckedPart>,
  ): Promise<CheckedPart> => (serving.isShared ? onceInCluster({ client, lease, eventSource, log }, start) : start());
  const managing = server.client(controllerManagerUser);
  const controllers = await once("kube-controller-manager", "kube-controller-manager", managing, async () => {
    const ownLoops = startServerControllers(own, log);
    const clientFor = (account: string): Client => server.client(controllerUser(account));
    const manager = await startControllerManager({
      settings,
      ca: () => keys.current.authorities.ca,
      rootCa: () => keys.current.authorities.trusted,
      issuer: serving.issuer,
      client: managing,
      clientFor,
      log,
    });
    return {
      check: () => manager.check(),
      async stop() {
        await manager.stop();
        await ownLoops.stop();
      },
    };
  });
  components.set("controller-manager", () => controllers.check());
  parts.add("controller manager", controllers);
  const scheduling = server.client(schedulerUser);
  const scheduler = await once("kube-scheduler", leaderEventSource(schedulerConfiguration), scheduling, async () =>
    startScheduler(scheduling, log, schedulerConfiguration),
  );
  components.set("scheduler", () => scheduler.check());
  parts.add("scheduler", scheduler);

  parts.add("manifests", await startManifests(settings, own, log));

  let agent: RunningAgent | undefined;
  const ending = new AbortController();
  const ended = untilSignalled();
  if (startAgent) {
    // Pods of this board are not a reason for the control plane to be away.
    startAgent({
      settings,
      servers: [`https://127.0.0.1:${settings.httpsPort}`],
      token: formatJoinToken(keys.current.joinToken),
      brokers: [`mqtts://localhost:${settings.mqttPort}`],
      // The master is what others are upgraded from: install.sh brings it up to date; and it is never elsewhere.
      disabled: [...settings.disable, "upgrade", "mdns"],
    }).then(
      (running) => {
        agent = running;
        markControlPlane(own, running.nodeName, ending.signal).catch(
          (error: unknown) => ending.signal.aborted || log.warn("this board's Node shows no role", { error }),
        );
      },
      (error: unknown) => log.error("this board's agent did not start", { error }),
    );
  }
  parts.add("collections", { stop: collectWhenQuiet(() => server.forgetOld()) });
  const signal = await ended;
  log.info("ending; pods go on", { signal });
  ending.abort();
  await agent?.stop();
  await parts.stop();
  forget();
}
