/** The commands with which people look after a cluster from a master. Each loads only what it needs. */
import { type Command, Option as Flag } from "commander";
import { configFile, kubeconfigFile, wholeNumberFlag, withSettings } from "#shared/config/command.ts";
import { masterOptions } from "#shared/config/settings.ts";

/** Tokens, certificates and keys. */
export function addCredentialCommands(program: Command): void {
  program.commandsGroup("Tokens, certificates and keys:");
  const token = program
    .command("token")
    .description("tokens with which boards join, and people sign in at the dashboard");
  token
    .command("create")
    .description("make a token and print it")
    .addOption(kubeconfigFlag())
    .addOption(wholeNumberFlag("--ttl <SECONDS>", "life of the token; 0 is for ever", { fallback: 86_400, min: 0 }))
    .addOption(new Flag("--description <TEXT>", "what it is for").default("", "none"))
    .option("--print-join", "print the whole line to run on the joining board")
    .option("--board <NAME>", "for one board alone, which becomes the node of that name")
    .option("--master", "for a further master: whoever holds it gets all keys of the cluster")
    .addOption(dataDirFlag())
    .action(async (options) => (await import("./token.ts")).createToken(options));
  token
    .command("dashboard")
    .description("print a token to sign in at the dashboard with, and its address")
    .addOption(kubeconfigFlag())
    .option("--role <CLUSTERROLE>", "what whoever has it may do", "cluster-admin")
    .addOption(wholeNumberFlag("--ttl <SECONDS>", "life of the token", { fallback: 43_200, min: 600 }))
    .action(async (options) => (await import("./dashboard-token.ts")).createDashboardToken(options));
  token
    .command("list")
    .description("list the tokens, without their secrets")
    .addOption(kubeconfigFlag())
    .action(async (options) => (await import("./token.ts")).listTokens(options));
  token
    .command("delete")
    .alias("revoke")
    .description("end a token; boards that joined with it stay")
    .argument("<ID>", "as `list` shows it")
    .addOption(kubeconfigFlag())
    .action(async (id: string, options) => (await import("./token.ts")).deleteToken(id, options));

  token
    .command("rotate")
    .description(
      "change the permanent token in this master's data folder; the former ends, boards that joined with it stay",
    )
    .addOption(kubeconfigFlag())
    .addOption(dataDirFlag())
    .action(async (options) => (await import("./token.ts")).rotateToken(options));
  token
    .command("rotate-signing-key")
    .description(
      "change the key that signs service accounts' tokens, in steps that shut nobody out; run again, it goes on",
    )
    .addOption(kubeconfigFlag())
    .addOption(dataDirFlag())
    .addOption(rotationTimeoutFlag())
    .option("--finish", "the last step: tokens by the former key are refused")
    .option("--force", "with --finish: also where Secrets hold tokens by the former key")
    .action(async (options) => (await import("./key-rotation.ts")).rotateSigningKey(options));

  const certificate = program.command("certificate").description("certificates of this board, and the cluster's CA");
  withSettings(
    certificate.command("list").description("list the certificates that lie on this board: names, issuer, end"),
    masterOptions,
    async (settings) => (await import("./certificates.ts")).listCertificates(settings),
    { listedBy: "bramble master" },
  );
  withSettings(
    certificate
      .command("renew")
      .description("have the running master and agent of this board make their certificates anew, before their time"),
    masterOptions,
    async (settings) => (await import("./certificates.ts")).renewCertificates(settings),
    { listedBy: "bramble master" },
  );
  certificate
    .command("rotate-ca")
    .description("change the cluster's CA, in steps that shut nobody out; run again, it goes on (on a master)")
    .addOption(kubeconfigFlag())
    .addOption(dataDirFlag())
    .addOption(rotationTimeoutFlag())
    .option("--finish", "the last step: certificates by the former CA are taken no more")
    .option(
      "--join-anew",
      "with --finish, where the former CA's key was stolen: boards that are away need a join token",
    )
    .action(async (options) => (await import("./key-rotation.ts")).rotateCa(options));

  program
    .command("encryption")
    .description("the key under which Secrets rest in the store")
    .command("rotate")
    .description(
      "change it: all masters learn the new key, all Secrets are written once more; run again, it goes on (on a master)",
    )
    .addOption(kubeconfigFlag())
    .addOption(dataDirFlag())
    .addOption(runDirFlag())
    .action(async (options) => (await import("./encryption.ts")).rotateEncryption(options));
}

/** What is there and how it is; the fleet's programs and images. */
export function addFleetCommands(program: Command): void {
  program.commandsGroup("The fleet:");
  program
    .command("status")
    .description("what runs on this board and how the cluster is")
    .addOption(kubeconfigFlag())
    .addOption(dataDirFlag())
    .action(async (options) => (await import("./status.ts")).printStatus(options));

  program
    .command("kubectl")
    .description("run kubectl with the administrator's kubeconfig")
    .argument("[ARGUMENTS...]", "kubectl's own")
    .allowUnknownOption()
    .helpOption(false)
    .passThroughOptions()
    .action(async (args: string[]) => {
      process.exitCode = await (await import("./kubectl.ts")).runKubectl(kubeconfigFile, args);
    });

  program
    .command("upgrade")
    .description("bring the boards to the version that this master has (install.sh brings the master itself there)")
    .addOption(kubeconfigFlag())
    .addOption(nodeFlag())
    .addOption(wholeNumberFlag("--at-once <N>", "boards at a time", { fallback: 1, min: 1 }))
    .addOption(wholeNumberFlag("--timeout <SECONDS>", "how long a board may take", { fallback: 900, min: 1 }))
    .option("--revert", "back to the version that each board had before")
    .option("--dist <DIR>", "the folder that this master hands out", masterOptions.dist.fallback)
    .action(async (options) => (await import("./upgrade.ts")).upgradeFleet(options));

  program
    .command("images")
    .description("container images of the fleet")
    .command("load")
    .description("put image archives (docker save) on every board")
    .argument("<ARCHIVE...>", "made by `docker save`")
    .addOption(kubeconfigFlag())
    .addOption(nodeFlag())
    .action(async (archives: string[], options) => (await import("./images.ts")).loadImages(archives, options));

  program
    .command("self-test", { hidden: true })
    .description("exercise what differs between processors: sqlite, TLS, a Worker, MQTT, JSON")
    .action(async () => {
      process.exitCode = await (await import("./self-test.ts")).selfTest();
    });
}

/** The cluster's state: copies of it, and where it is kept. */
export function addStateCommands(program: Command): void {
  program.commandsGroup("The cluster's state:");
  withSettings(
    program
      .command("backup")
      .summary("put the whole cluster, objects and keys, into one file; the master may go on")
      .description(
        "put the whole cluster, objects and keys, into one file; the master may go on. What is encrypted at rest is so in the file; keys of an EncryptionConfiguration or a key service are not in it",
      )
      .argument("[FILE]", "where to (default: a name with the time, in --backup-dir)"),
    masterOptions,
    async (settings, _, [file]) => (await import("./backup.ts")).backup(settings, file),
    { listedBy: "bramble master" },
  );
  withSettings(
    program
      .command("restore")
      .summary("make a cluster of a backup again, on this machine or a new one, while the master is stopped")
      .description(
        "make a cluster of a backup again, on this machine or a new one, while the master is stopped. Where it was made with --encryption-provider-config, that file is needed with the keys that it had then, or the key service; else nothing is changed",
      )
      .argument("<FILE>", "made by `bramble backup`"),
    masterOptions,
    async (settings, _, [file = ""]) => (await import("./backup.ts")).restore(settings, file),
    { listedBy: "bramble master" },
  );

  const etcd = withSettings(
    program
      .command("etcd")
      .description(
        "run this board's member of the etcd that belongs to --store etcd; a further master's joins the others",
      ),
    masterOptions,
    async (settings) => (await import("./etcd.ts")).runEtcd(settings),
    { listedBy: "bramble master" },
  );
  withSettings(
    etcd
      .command("ready")
      .description("fail unless this board's member votes")
      .addOption(wholeNumberFlag("--wait <SECONDS>", "how long it may take", { fallback: 0, min: 0 })),
    masterOptions,
    async (settings, given) => (await import("./etcd.ts")).awaitMember(settings, given["wait"] as number),
    { listedBy: "bramble master" },
  );
  withSettings(
    etcd.command("members").description("list the members and how they are"),
    masterOptions,
    async (settings) => (await import("./etcd.ts")).printMembers(settings),
    { listedBy: "bramble master" },
  );
  withSettings(
    etcd
      .command("remove")
      .description("take out a member whose board is lost")
      .argument("<NAME>", "as `members` has it"),
    masterOptions,
    async (settings, _, [name = ""]) => (await import("./etcd.ts")).removeMember(settings, name),
    { listedBy: "bramble master" },
  );

  const store = program.command("store").description("look into the store of this master, or move it");
  withSettings(
    store
      .command("move")
      .description(
        "move the cluster's state from sqlite to etcd or back; the master is stopped meanwhile, and pods go on",
      )
      .argument(
        "<STORE>",
        "sqlite; etcd, which `bramble etcd` runs; or etcd=https://HOST:2379,… with --etcd-cafile, --etcd-certfile and --etcd-keyfile",
      ),
    masterOptions,
    async (settings, given, [to = ""]) => {
      const file = (given["config"] as string | undefined) ?? configFile;
      await (await import("./move-store.ts")).moveStore(settings, to, file);
    },
    { listedBy: "bramble master" },
  );
  store
    .command("get")
    .description("print the JSON at a key, or the keys below it")
    .argument("<KEY>", "such as /registry/pods/default/nginx")
    .option("--prefix", "all keys that begin with it")
    .option("--keys-only", "no values")
    .addOption(dataDirFlag())
    .addOption(runDirFlag())
    .action(async (key: string, options) => {
      process.exitCode = await (await import("./store-get.ts")).storeGet(key, options);
    });
}

function kubeconfigFlag(): Flag {
  return new Flag("--kubeconfig <FILE>", "the administrator's kubeconfig").default(kubeconfigFile);
}

function dataDirFlag(): Flag {
  return new Flag("--data-dir <DIR>", "where Bramble keeps its state").default(masterOptions.dataDir.fallback);
}

function runDirFlag(): Flag {
  return new Flag("--run-dir <DIR>", "where the running master's admin socket is").default(
    masterOptions.runDir.fallback,
  );
}

function nodeFlag(): Flag {
  const collect = (value: string, before: readonly string[]): string[] => [...before, value];
  return new Flag("--node <NAME>", "only this board; repeatable").argParser(collect).default([], "all");
}

function rotationTimeoutFlag(): Flag {
  const description = "how long to wait for masters and boards at each step";
  return wholeNumberFlag("--timeout <SECONDS>", description, { fallback: 600, min: 1 });
}
