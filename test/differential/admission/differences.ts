const times =
  "a patch that changes nothing changes nothing; upstream's first one also cuts fractions of seconds off the times of managers";

/** Answers that are not upstream's on purpose, by group and name, and why. */
export const differences: Readonly<Record<string, string>> = {
  "webhooks: patched test-missing-null": times,
  "webhooks: patched test-missing-no-value": times,
  "webhooks: patched unknown-field": times,
  "webhooks: on-scale": "a Scale is shown without what managers of it there are",
  "reviews: PersistentVolumeClaim made":
    "its phase is there from the start; upstream gives it to what it reads from its store, and so shows it from then on",
};
