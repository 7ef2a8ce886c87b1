-- The ledger of orders. Kept in step with migrations/postgres/0001_orders.sql.
--
-- Instants are microseconds since 1970-01-01 UTC. Ids are UUIDv7 in their
-- hyphenated form, so that their order is that of creation. A file that was
-- released is never edited: its checksum is in every database.

CREATE TABLE orders (
    id                           TEXT PRIMARY KEY,
    request_id                   TEXT NOT NULL,
    iccid                        TEXT,
    msisdn                       TEXT NOT NULL,
    product_id                   TEXT NOT NULL,
    activation                   TEXT CHECK (activation IN ('on_first_use', 'immediate')),
    reference                    TEXT NOT NULL,
    max_price_currency           TEXT,
    max_price_units              INTEGER,
    max_price_nanos              INTEGER,
    caller                       TEXT,
    state                        TEXT NOT NULL CHECK (state IN
        ('submitting', 'placed', 'rejected', 'unknown', 'not_placed', 'needs_operator')),
    subscription_id              TEXT,
    provider_reference           TEXT,
    failure_reason               TEXT,
    failure_provider_code        TEXT,
    failure_provider_request_id  TEXT,
    created_at                   INTEGER NOT NULL,
    updated_at                   INTEGER NOT NULL,
    next_check_at                INTEGER,
    attempt                      INTEGER NOT NULL CHECK (attempt >= 1),
    -- JSON list of the subscriptions that were on the SIM before the attempt.
    baseline                     TEXT NOT NULL,
    sent_by                      INTEGER NOT NULL,
    checks                       INTEGER NOT NULL CHECK (checks >= 0),
    -- Submitting: its process is alive until then. Otherwise: somebody is
    -- looking for it until then.
    lease_until                  INTEGER,
    -- An operator's last word.
    note                         TEXT,
    noted_by                     TEXT,
    -- buy, cancel_renewal, terminate_subscription, or sim_ and an operation;
    -- the last have no product, so that one is in flight per SIM.
    act                          TEXT NOT NULL,
    -- JSON object of what belongs to the act; none for buy.
    details                      TEXT,
    CHECK (state <> 'submitting' OR lease_until IS NOT NULL),
    CHECK (subscription_id IS NULL OR state = 'placed')
) STRICT;

-- One order for a wish, however often it is repeated.
CREATE UNIQUE INDEX orders_one_per_request ON orders (request_id);

-- One order in flight per SIM and product.
CREATE UNIQUE INDEX orders_one_in_flight ON orders (msisdn, product_id)
    WHERE state IN ('submitting', 'unknown', 'needs_operator');

-- No two orders claim one subscription.
CREATE UNIQUE INDEX orders_one_per_subscription ON orders (msisdn, subscription_id)
    WHERE subscription_id IS NOT NULL;

-- Orders of a SIM, newest first; its slots and claims.
CREATE INDEX orders_of_sim ON orders (msisdn, id);

-- What has to be looked for.
CREATE INDEX orders_due ON orders (next_check_at) WHERE next_check_at IS NOT NULL;

-- Counts by state, what is being sent, and what is old enough to forget.
CREATE INDEX orders_by_state ON orders (state, updated_at);
