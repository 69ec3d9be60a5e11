-- What everybody may read of a review is in the copy: the rest is its author's.
DROP POLICY product_read ON product_reviews;

-- For the foreign key on the product, and for a product's releases in their order.
CREATE INDEX idx_product_releases_product ON product_releases (product_id, version_order DESC);
