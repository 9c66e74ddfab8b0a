const times =
  "a patch that changes nothing changes nothing; upstream's first one also cuts fractions of seconds off the times of managers";

const identity =
  "a webhook's patch takes no custom object to another version or kind, or its metadata away: that is told at once, and what says nothing is as it was";
const ofCustomObjects = ["wrong metadata", "unserved version", "other kind", "no version"].flatMap((name) => [
  [`webhooks: custom-own ${name}`, identity],
  [`webhooks: custom-other ${name}`, identity],
]);

/** Answers that are not upstream's on purpose, by group and name, and why. */
export const differences: Readonly<Record<string, string>> = {
  "webhooks: patched test-missing-null": times,
  "webhooks: patched test-missing-no-value": times,
  "webhooks: patched unknown-field": times,
  ...Object.fromEntries(ofCustomObjects),
  "webhooks: custom-own other version": identity,
  "webhooks: on-scale": "a Scale is shown without what managers of it there are",
  "reviews: PersistentVolumeClaim made":
    "its phase is there from the start; upstream gives it to what it reads from its store, and so shows it from then on",
};
