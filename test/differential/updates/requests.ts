/**
 * Writes to objects that are there: each place of a status wrong in turn, each place of the rest set to what a new object could
 * not have either, and objects of dynamic resources, whole and wrong. All but what makes the objects is a dry run.
 */
import { absentOf, type Path, placesOf, withValue, wrongsOf } from "../wire/places.ts";
import type { Json, WireGroup, WireRequest } from "../wire/request.ts";
import { type Held, held, namespace, world } from "../wire/world.ts";
import { type RichObject, richObjects } from "./objects.ts";
import { statuses } from "./statuses.ts";

const dryRun = "?dryRun=All";
const at = (path: Path): string => path.join(".");

interface Variant {
  readonly what: string;
  readonly path: Path;
  readonly value: unknown;
}

/** Every value but those that are the same whatever the kind: metadata is asked about elsewhere. */
function variantsOf(object: Json): Variant[] {
  const wrong = placesOf(object).flatMap((place) =>
    wrongsOf(place).map(({ what, value }) => ({ what: `${at(place.path)} ${what}`, path: place.path, value })),
  );
  const absent = absentOf(object).map(({ path, value }) => ({
    what: `${at(path)} ${JSON.stringify(value)}`,
    path,
    value,
  }));
  return [...wrong, ...absent].filter(({ path }) => path[0] !== "metadata");
}

const ofStatus = ({ path }: Variant): boolean => path[0] === "status";

/** Kinds whose status a controller in upstream's API server writes at once: what a status that is there becomes is a race. */
const followed = new Set(["apiService", "customResourceDefinition", "flowSchema"]);

function statusGroups({ sample, path, object }: Held, status: Json): WireGroup[] {
  const at = `${path}/status`;
  const put = (what: string, query: string, body: WireRequest["body"]): WireRequest => ({
    name: `status of ${sample} ${what}`,
    method: "PUT",
    path: at + query,
    ...(body && { body }),
  });
  const changed = { ...object, status };
  const writes = [
    put("removed", dryRun, ({ status: _, ...live }) => live),
    put("again", dryRun, (live) => live),
    ...variantsOf(changed)
      .filter(ofStatus)
      .map(({ what, path: place, value }) => put(what, dryRun, (live) => withValue({ ...live, status }, place, value))),
  ];
  const first = writes.map(({ name, ...rest }) => ({ ...rest, name: name.replace("status of", "first status of") }));
  if (followed.has(sample)) return [{ name: `first status of ${sample}`, requests: first }];
  return [
    // The rules for what a status may become are others than those for what it is at first.
    { name: `first status of ${sample}`, requests: first },
    { name: `set status of ${sample}`, requests: [put("set", "", (live) => ({ ...live, status }))] },
    { name: `status of ${sample}`, requests: writes },
  ];
}

function updateGroup(name: string, path: string, object: Json): WireGroup {
  return {
    name: `update of ${name}`,
    requests: variantsOf(object)
      .filter((variant) => !ofStatus(variant))
      .map(({ what, path: place, value }) => ({
        name: `update of ${name} ${what}`,
        method: "PUT",
        path: path + dryRun,
        body: (live: Json) => withLive(live, object, place, value),
      })),
  };
}

/** The live object with another value; where it has lost the place, the one that was posted. */
function withLive(live: Json, posted: Json, path: Path, value: unknown): Json {
  try {
    return withValue(live, path, value);
  } catch {
    return withValue(posted, path, value);
  }
}

function richGroups({ name, collection, object }: RichObject): WireGroup[] {
  const post = (what: string, query: string, body: Json): WireRequest => ({
    name: `create of ${name} ${what}`,
    method: "POST",
    path: collection + query,
    body,
  });
  const { metadata } = object as { metadata: { name: string } };
  return [
    {
      name: `create of ${name}`,
      requests: variantsOf(object).map(({ what, path, value }) => post(what, dryRun, withValue(object, path, value))),
    },
    { name: `made ${name}`, requests: [post("made", "", object)] },
    updateGroup(name, `${collection}/${metadata.name}`, object),
  ];
}

const core = `/apis/resource.k8s.io/v1/namespaces/${namespace}`;

function withAdminAccess(object: Json, path: Path): Json {
  return withValue(object, [...path, "requests", 0, "exactly", "adminAccess"], true);
}

/** Devices that others use too are for namespaces that are marked for it. */
const adminGroup: WireGroup = {
  name: "admin access",
  inOrder: true,
  requests: ["", "true", "yes"].flatMap((label) => {
    const [claim, template] = richObjects;
    const about = `admin access labelled ${JSON.stringify(label)}`;
    const devices = ["spec", "devices"];
    return [
      {
        name: `${about} namespace`,
        method: "PATCH",
        path: `/api/v1/namespaces/${namespace}`,
        headers: { "content-type": "application/merge-patch+json" },
        body: { metadata: { labels: { "resource.kubernetes.io/admin-access": label === "" ? null : label } } },
      },
      {
        name: `${about} claim`,
        method: "POST",
        path: `${core}/resourceclaims${dryRun}`,
        body: withValue(withAdminAccess(claim?.object ?? {}, devices), ["metadata", "name"], "admin"),
      },
      {
        name: `${about} template`,
        method: "POST",
        path: `${core}/resourceclaimtemplates${dryRun}`,
        body: withValue(withAdminAccess(template?.object ?? {}, ["spec", ...devices]), ["metadata", "name"], "admin"),
      },
      {
        name: `${about} status`,
        method: "PUT",
        path: `${core}/resourceclaims/rich/status${dryRun}`,
        body: (live: Json) => ({
          ...live,
          status: {
            allocation: {
              devices: {
                results: [{ request: "gpu", driver: "gpu.example.com", pool: "a", device: "b", adminAccess: true }],
              },
            },
          },
        }),
      },
    ];
  }),
};

export const groups: readonly WireGroup[] = [
  world,
  ...richObjects.flatMap(richGroups),
  adminGroup,
  ...held.map(({ sample, path, object }) => updateGroup(sample, path, object)),
  ...held.flatMap((each) => {
    const status = statuses[each.sample];
    return status ? statusGroups(each, status) : [];
  }),
];
