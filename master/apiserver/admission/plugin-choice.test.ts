import { expect, test } from "bun:test";
import type { Client } from "#shared/client/client.ts";
import { optionalAdmissionPlugins } from "#shared/config/admission-settings.ts";
import { MapReader } from "../../../test/support/map-reader.ts";
import type { Authorizer } from "../authz/authorizer.ts";
import type { RbacAuthorizer } from "../authz/rbac.ts";
import { type PluginChoice, usual, usualPlugins } from "./plugin-choice.ts";
import { admissionPlugins } from "./plugins.ts";

/** Of what guards the server itself, whoever chooses what. */
const always = ["CertificateRequests", "DeviceAdminAccess", "RBACEscalation"];
/** Made elsewhere, of what the cluster's objects say. */
const extensions = [
  "MutatingAdmissionPolicy",
  "MutatingAdmissionWebhook",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionWebhook",
];

const namesBy = (choice: PluginChoice): string[] =>
  admissionPlugins({
    reader: new MapReader(),
    authorizer: {} as Authorizer,
    rbac: {} as RbacAuthorizer,
    client: () => ({}) as Client,
    resources: () => ({ all: () => [] }),
    extensions: extensions.map((name) => ({ name })),
    choice,
  })
    .map(({ name }) => name)
    .sort();

test("the usual plugins are those that run unless they are disabled", () => {
  expect(namesBy(usualPlugins)).toEqual([...usual, ...always].sort());
  expect(namesBy({ isEnabled: () => false, isDisabled: (name) => usual.includes(name) })).toEqual(always);
});

test("the others are those that run where they are enabled", () => {
  const isSet = (name: string): boolean => name !== "ImagePolicyWebhook";
  const enabled = namesBy({ isEnabled: isSet, isDisabled: (name) => usual.includes(name) });
  expect(enabled).toEqual([...optionalAdmissionPlugins.filter(isSet), ...always].sort());
});
