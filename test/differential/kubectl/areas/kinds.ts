/** get, describe and what completes names, of every built-in kind: rich objects, with statuses as those who watch them write. */
import { samples } from "../../resources/samples.ts";
import { statuses } from "../../updates/statuses.ts";
import { withValue } from "../../wire/places.ts";
import { harmless, keepsName } from "../../wire/world.ts";
import { type KubectlArea, type KubectlCommand, run, words } from "../command.ts";

type Json = Record<string, unknown>;
const namespace = "commands-kinds";

/** Looked at elsewhere: controllers of the API server write their statuses, or kubectl shows their parts in an order of chance. */
const elsewhere = new Set(["apiService", "flowSchema", "validatingAdmissionPolicy", "limitRange"]);

/** What a server would choose. */
const chosen: Readonly<Record<string, string>> = {
  service: "10.43.240.11",
  nodePortService: "10.43.240.12",
  loadBalancerService: "10.43.240.13",
};

const kinds = Object.entries(samples)
  .filter(([sample]) => !elsewhere.has(sample))
  .map(([sample, { group, plural, namespaced, object: given }]) => {
    const { metadata } = given as { metadata: Json };
    const name = keepsName.has(sample) ? String(metadata["name"]) : `kinds-${sample.toLowerCase()}`;
    let object = withValue(given, ["metadata"], { ...metadata, name, ...(namespaced && { namespace }) });
    if (sample === "event") object = withValue(object, ["involvedObject", "namespace"], namespace);
    if (chosen[sample]) object = withValue(object, ["spec", "clusterIP"], chosen[sample]);
    for (const [path, value] of harmless[sample] ?? []) object = withValue(object, path, value);
    const resource = group === "" ? plural : `${plural}.${group}`;
    return { sample, resource, name, namespaced, object, status: statuses[sample] };
  });

const statusSet = (resource: string, name: string, status: Json): KubectlCommand =>
  words(`patch ${resource} ${name} --subresource=status --type=merge -o name -p`, JSON.stringify({ status }));

export const kindsOfAll: KubectlArea = {
  commands: [
    run("create serviceaccount default"),
    ...kinds.flatMap(({ sample, resource, name, object, status }) => [
      run("create -f -", object),
      ...(status ? [statusSet(resource, name, status)] : []),
      // Which the status that was set says nothing of.
      ...(sample === "customResourceDefinition"
        ? [run(`wait ${resource} ${name} --for=condition=NamesAccepted --timeout=60s`)]
        : []),
      run(`get ${resource} ${name} -o wide --show-labels -L app`),
      // Of Services something that repairs their addresses tells by chance.
      run(`describe ${resource} ${name} --show-events=false`),
    ]),
    run("get all -o wide"),
    run("wait flowschemas --all --for=condition=Dangling=False --timeout=60s"),
    run("get flowschemas"),
    run("get flowschemas -o name"),
    run("get flowschemas --sort-by=.metadata.name --no-headers"),
    run("get prioritylevelconfigurations"),
    ...kinds
      .filter(({ namespaced }) => !namespaced)
      .map(({ resource, name }) => run(`delete ${resource} ${name} --wait=false`)),
  ],
};
