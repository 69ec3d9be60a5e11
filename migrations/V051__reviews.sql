-- What is said of products: votes, the vendor's reply, and the copy of it all that
-- everybody may read, which names no person and no organization.

CREATE TABLE product_review_votes (
    review_id       uuid        NOT NULL REFERENCES product_reviews (id) ON DELETE CASCADE,
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    user_id         uuid        NOT NULL REFERENCES users_profile (id),
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (review_id, user_id)
);
CREATE INDEX idx_product_review_votes_organization ON product_review_votes (organization_id);
CREATE INDEX idx_product_review_votes_user ON product_review_votes (user_id);

CREATE TABLE product_review_replies (
    review_id       uuid        PRIMARY KEY REFERENCES product_reviews (id) ON DELETE CASCADE,
    product_id      uuid        NOT NULL,
    -- The vendor.
    organization_id uuid        NOT NULL REFERENCES organizations (id),
    user_id         uuid        NOT NULL REFERENCES users_profile (id),
    reply           text        NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT product_review_replies_product_fkey FOREIGN KEY (product_id, organization_id)
        REFERENCES products (id, organization_id)
);
CREATE INDEX idx_product_review_replies_product ON product_review_replies (product_id);
CREATE INDEX idx_product_review_replies_organization ON product_review_replies (organization_id);
CREATE INDEX idx_product_review_replies_user ON product_review_replies (user_id);
CREATE TRIGGER set_updated_at BEFORE UPDATE ON product_review_replies
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- A vote is no edit of the review.
DROP TRIGGER set_updated_at ON product_reviews;
CREATE TRIGGER set_updated_at BEFORE UPDATE ON product_reviews
    FOR EACH ROW WHEN (OLD.helpful_count = NEW.helpful_count)
    EXECUTE FUNCTION set_updated_at();

CREATE TABLE catalogue_reviews (
    review_id     uuid         PRIMARY KEY REFERENCES product_reviews (id) ON DELETE CASCADE,
    product_id    uuid         NOT NULL,
    rating        smallint     NOT NULL,
    title         varchar(200),
    comment       text,
    author_name   varchar(100),
    is_verified   boolean      NOT NULL,
    helpful_count integer      NOT NULL,
    reply         text,
    replied_at    timestamptz,
    created_at    timestamptz  NOT NULL,
    edited_at     timestamptz
);
CREATE INDEX idx_catalogue_reviews_newest ON catalogue_reviews (product_id, created_at, review_id);
CREATE INDEX idx_catalogue_reviews_helpful ON catalogue_reviews (product_id, helpful_count, review_id);
CREATE INDEX idx_catalogue_reviews_rating ON catalogue_reviews (product_id, rating, review_id);

CREATE FUNCTION sync_catalogue_review(review uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    DELETE FROM catalogue_reviews c
    WHERE c.review_id = review
      AND NOT EXISTS (SELECT FROM product_reviews r WHERE r.id = review AND NOT r.is_hidden);
    INSERT INTO catalogue_reviews (review_id, product_id, rating, title, comment, author_name,
        is_verified, helpful_count, reply, replied_at, created_at, edited_at)
    SELECT r.id, r.product_id, r.rating, r.title, r.comment, r.author_name, r.is_verified,
        r.helpful_count, a.reply, a.updated_at, r.created_at, r.edited_at
    FROM product_reviews r LEFT JOIN product_review_replies a ON a.review_id = r.id
    WHERE r.id = review AND NOT r.is_hidden
    ON CONFLICT (review_id) DO UPDATE SET
        rating = excluded.rating, title = excluded.title, comment = excluded.comment,
        author_name = excluded.author_name, is_verified = excluded.is_verified,
        helpful_count = excluded.helpful_count, reply = excluded.reply,
        replied_at = excluded.replied_at, edited_at = excluded.edited_at;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
END
$$;

CREATE FUNCTION reviews_synced() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM sync_catalogue_review(NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_catalogue AFTER INSERT OR UPDATE ON product_reviews
    FOR EACH ROW EXECUTE FUNCTION reviews_synced();

CREATE FUNCTION review_replies_synced() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    -- The review first: whoever else copies it waits, and then copies the reply as well.
    PERFORM set_config('celaest.access', 'system', true);
    PERFORM FROM product_reviews WHERE id = coalesce(NEW.review_id, OLD.review_id) FOR NO KEY UPDATE;
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    PERFORM sync_catalogue_review(coalesce(NEW.review_id, OLD.review_id));
    RETURN NULL;
END
$$;
CREATE TRIGGER sync_catalogue AFTER INSERT OR UPDATE OR DELETE ON product_review_replies
    FOR EACH ROW EXECUTE FUNCTION review_replies_synced();

-- A vote counts for a review of another organization's, which its voter does not see.
CREATE FUNCTION review_votes_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    access text := current_setting('celaest.access', true);
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    UPDATE product_reviews SET helpful_count = helpful_count + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END
    WHERE id = coalesce(NEW.review_id, OLD.review_id);
    PERFORM set_config('celaest.access', coalesce(access, ''), true);
    RETURN NULL;
END
$$;
CREATE TRIGGER count_vote AFTER INSERT OR DELETE ON product_review_votes
    FOR EACH ROW EXECUTE FUNCTION review_votes_changed();

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'product_review_votes', 'product_review_replies', 'catalogue_reviews'
    ] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    END LOOP;
END
$$;
CREATE POLICY tenant ON product_review_votes USING (app_sees_owned(organization_id, user_id));
CREATE POLICY tenant ON product_review_replies USING (app_sees(organization_id));
CREATE POLICY everybody_reads ON catalogue_reviews FOR SELECT USING (true);
CREATE POLICY system_writes ON catalogue_reviews USING (app_is_system());
GRANT SELECT, INSERT, DELETE ON product_review_votes TO celaest_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON product_review_replies TO celaest_app;
GRANT SELECT ON catalogue_reviews TO celaest_app;

DO $$
BEGIN
    PERFORM set_config('celaest.access', 'system', true);
    PERFORM sync_catalogue_review(id) FROM product_reviews;
    PERFORM refresh_product_rating(product_id) FROM (SELECT DISTINCT product_id FROM product_reviews) AS r;
END
$$;
