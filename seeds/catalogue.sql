-- The catalogue and price list of the business model: seven products of Acme
-- Software and their categories. Needs seed_data.sql; running it again changes
-- nothing.

-- Forced policies also bind a database owner who is no superuser.
SET celaest.access = 'system';

INSERT INTO product_categories (id, name, slug, description, sort_order) VALUES
    ('60000000-0000-4000-8000-000000000001', 'Automatización', 'automatizacion', 'Procesos que se hacen solos', 1),
    ('60000000-0000-4000-8000-000000000002', 'Infraestructura', 'infraestructura', 'Servidores, redes y entrega global', 2),
    ('60000000-0000-4000-8000-000000000003', 'Análisis', 'analisis', 'Datos convertidos en decisiones', 3),
    ('60000000-0000-4000-8000-000000000004', 'Seguridad', 'seguridad', 'Protección de datos y accesos', 4),
    ('60000000-0000-4000-8000-000000000005', 'CRM y ventas', 'crm-y-ventas', 'Relación con clientes', 5),
    ('60000000-0000-4000-8000-000000000006', 'Inteligencia artificial', 'inteligencia-artificial', 'Contenido y asistencia con IA', 6),
    ('60000000-0000-4000-8000-000000000007', 'IoT industrial', 'iot-industrial', 'Máquinas y sensores conectados', 7)
ON CONFLICT DO NOTHING;

INSERT INTO products
    (id, organization_id, category_id, code, name, slug, short_description, product_type, status,
     price, is_subscription, billing_cycle, is_featured, is_popular, features, tags, published_at) VALUES
    ('50000000-0000-4000-8000-000000000011', '10000000-0000-4000-8000-000000000001',
     '60000000-0000-4000-8000-000000000001', 'AUTO',
     'Sistema de Automatización Empresarial', 'sistema-de-automatizacion-empresarial',
     'Automatiza los procesos de toda la empresa', 'software', 'published',
     4500, false, NULL, true, true, '["workflows", "integrations", "reports"]', '{automatizacion,procesos}', now()),
    ('50000000-0000-4000-8000-000000000012', '10000000-0000-4000-8000-000000000001',
     '60000000-0000-4000-8000-000000000002', 'INFRA',
     'Infraestructura Global Optimizada', 'infraestructura-global-optimizada',
     'Infraestructura gestionada y cerca de cada cliente', 'service', 'published',
     1200, true, 'monthly', true, false, '["global_network", "monitoring", "backups"]', '{infraestructura,nube}', now()),
    ('50000000-0000-4000-8000-000000000013', '10000000-0000-4000-8000-000000000001',
     '60000000-0000-4000-8000-000000000003', 'BI',
     'Suite de Análisis Inteligente', 'suite-de-analisis-inteligente',
     'Informes y predicciones con los datos propios', 'software', 'published',
     8900, false, NULL, true, false, '["dashboards", "forecasts", "exports"]', '{analisis,datos}', now()),
    ('50000000-0000-4000-8000-000000000014', '10000000-0000-4000-8000-000000000001',
     '60000000-0000-4000-8000-000000000004', 'SEC',
     'Seguridad Empresarial Avanzada', 'seguridad-empresarial-avanzada',
     'Protección de accesos, datos y equipos', 'software', 'published',
     2100, false, NULL, false, true, '["access_control", "encryption", "audit"]', '{seguridad}', now()),
    ('50000000-0000-4000-8000-000000000015', '10000000-0000-4000-8000-000000000001',
     '60000000-0000-4000-8000-000000000005', 'CRMG',
     'CRM Inteligente Global', 'crm-inteligente-global',
     'Clientes, ventas y seguimiento en cualquier idioma', 'saas', 'published',
     150, true, 'monthly', false, true, '["contacts", "pipeline", "assistant"]', '{crm,ventas}', now()),
    ('50000000-0000-4000-8000-000000000016', '10000000-0000-4000-8000-000000000001',
     '60000000-0000-4000-8000-000000000006', 'GEN',
     'Generador de Contenido IA', 'generador-de-contenido-ia',
     'Textos e imágenes con la voz de la marca', 'saas', 'published',
     99, true, 'monthly', false, true, '["texts", "images", "brand_voice"]', '{ia,contenido}', now()),
    ('50000000-0000-4000-8000-000000000017', '10000000-0000-4000-8000-000000000001',
     '60000000-0000-4000-8000-000000000007', 'IOTP',
     'Plataforma IoT Industrial', 'plataforma-iot-industrial',
     'Sensores y máquinas de planta en un solo panel', 'software', 'published',
     12000, false, NULL, true, false, '["devices", "alerts", "maintenance"]', '{iot,industria}', now())
ON CONFLICT DO NOTHING;

RESET celaest.access;
