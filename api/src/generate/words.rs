//! The names and texts of the generated hospital, all of them made up or everyday.

use hims_domain::patient::AllergenType::{self, Environmental, Food, Other};

pub(super) const GIVEN_FEMALE: [&str; 24] = [
    "Aisha",
    "Beatriz",
    "Carmen",
    "Chiara",
    "Dalia",
    "Elena",
    "Fatima",
    "Grace",
    "Hana",
    "Ingrid",
    "Jasmine",
    "Keiko",
    "Lucía",
    "Maeve",
    "Nadia",
    "Olga",
    "Priya",
    "Renée",
    "Sofia",
    "Thuy",
    "Ursula",
    "Valentina",
    "Wanjiru",
    "Zoë",
];

pub(super) const GIVEN_MALE: [&str; 24] = [
    "Ahmed", "Björn", "Carlos", "Dmitri", "Emeka", "Farid", "Giorgio", "Hiroshi", "Ivan", "Jorge", "Kwame", "Luis",
    "Marek", "Nikhil", "Oscar", "Pavel", "Quentin", "Rafael", "Stefan", "Tariq", "Umberto", "Viktor", "Wei", "Youssef",
];

pub(super) const FAMILY_BEGINNINGS: [&str; 40] = [
    "Ander", "Bel", "Cast", "Dal", "Ester", "Fair", "Gold", "Har", "Ir", "Jacob", "Kirch", "Lind", "Mont", "Nor",
    "Ober", "Pet", "Quin", "Ros", "Sand", "Thorn", "Ul", "Vald", "Wal", "Young", "Zim", "Ash", "Black", "Clear", "Dun",
    "Elm", "Fen", "Glen", "Hol", "King", "Long", "Mar", "Oak", "Red", "Stone", "West",
];

pub(super) const FAMILY_ENDINGS: [&str; 30] = [
    "berg", "by", "dale", "den", "el", "er", "ez", "feld", "ford", "gate", "ham", "hoff", "ino", "ier", "kov", "land",
    "ley", "man", "mark", "mer", "oni", "ov", "quist", "sen", "sson", "stein", "strom", "ton", "well", "wood",
];

pub(super) const STREETS: [&str; 12] = [
    "Alder Street",
    "Birch Avenue",
    "Canal Street",
    "Depot Road",
    "Elm Street",
    "Ferry Lane",
    "Garden Way",
    "Harbor Road",
    "Island Avenue",
    "Juniper Court",
    "King Street",
    "Lake View",
];

/// City, state, postal code, area code of telephone numbers.
pub(super) const CITIES: [(&str, &str, &str, &str); 6] = [
    ("New York", "NY", "10001", "212"),
    ("Albany", "NY", "12203", "518"),
    ("Buffalo", "NY", "14202", "716"),
    ("Newark", "NJ", "07102", "973"),
    ("Stamford", "CT", "06901", "203"),
    ("Hartford", "CT", "06103", "860"),
];

/// Complaint, finding, assessment, plan, ICD-10-CM code, description of the code.
pub(super) const VISITS: [(&str, &str, &str, &str, &str, &str); 10] = [
    (
        "Cough for five days",
        "Lungs clear, throat red",
        "Acute bronchitis",
        "Rest and fluids; return if it gets worse",
        "J20.9",
        "Acute bronchitis, unspecified",
    ),
    (
        "Check of blood pressure",
        "Heart sounds regular, no oedema",
        "Essential hypertension, well controlled",
        "Same dose; check in three months",
        "I10",
        "Essential (primary) hypertension",
    ),
    (
        "Lower back pain since Monday",
        "Muscles tense, no weakness",
        "Low back pain without radiation",
        "Stay active; physiotherapy",
        "M54.50",
        "Low back pain, unspecified",
    ),
    (
        "Thirst and tiredness",
        "Skin dry, reflexes normal",
        "Type 2 diabetes mellitus",
        "Diet; laboratory in six weeks",
        "E11.9",
        "Type 2 diabetes mellitus without complications",
    ),
    (
        "Burning when passing water",
        "Abdomen soft, no flank pain",
        "Cystitis",
        "Antibiotic for three days; fluids",
        "N30.90",
        "Cystitis, unspecified without hematuria",
    ),
    (
        "Sore throat and fever",
        "Tonsils swollen with exudate",
        "Acute tonsillitis",
        "Analgesic; return in two days",
        "J03.90",
        "Acute tonsillitis, unspecified",
    ),
    (
        "Itching rash on both arms",
        "Dry, red patches in the elbows",
        "Atopic dermatitis",
        "Emollient twice a day",
        "L20.9",
        "Atopic dermatitis, unspecified",
    ),
    (
        "Headache twice a week",
        "Neurological examination normal",
        "Tension-type headache",
        "Diary of headaches",
        "G44.209",
        "Tension-type headache, unspecified, not intractable",
    ),
    (
        "Shortness of breath on stairs",
        "Wheezing on both sides",
        "Asthma",
        "Inhaler; spirometry",
        "J45.909",
        "Unspecified asthma, uncomplicated",
    ),
    (
        "Yearly check",
        "No abnormal findings",
        "Healthy adult",
        "Vaccinations brought up to date",
        "Z00.00",
        "Encounter for general adult medical examination without abnormal findings",
    ),
];

/// The kind of allergen, the allergen, the reaction. Nothing here is a product or an ingredient of a product that is
/// generated, so that no prescription would need an override.
pub(super) const ALLERGIES: [(AllergenType, &str, &str); 8] = [
    (Food, "Peanut", "Swollen lips"),
    (Food, "Shellfish", "Hives"),
    (Food, "Egg", "Rash"),
    (Environmental, "Birch pollen", "Sneezing and itching eyes"),
    (Environmental, "House dust mite", "Blocked nose"),
    (Environmental, "Cat dander", "Wheezing"),
    (Other, "Latex", "Contact rash"),
    (Other, "Nickel", "Eczema"),
];

/// Substance, class, route, form.
pub(super) const SUBSTANCES: [(&str, &str, &str, &str); 20] = [
    ("amlodipine", "calcium channel blocker", "oral", "tablet"),
    ("atorvastatin", "statin", "oral", "tablet"),
    ("bisoprolol", "beta blocker", "oral", "tablet"),
    ("cetirizine", "antihistamine", "oral", "tablet"),
    ("doxycycline", "tetracycline", "oral", "capsule"),
    ("escitalopram", "SSRI", "oral", "tablet"),
    ("furosemide", "loop diuretic", "oral", "tablet"),
    ("gabapentin", "anticonvulsant", "oral", "capsule"),
    ("hydrochlorothiazide", "thiazide", "oral", "tablet"),
    ("irbesartan", "angiotensin receptor blocker", "oral", "tablet"),
    ("levothyroxine", "thyroid hormone", "oral", "tablet"),
    ("metformin", "biguanide", "oral", "tablet"),
    ("nitrofurantoin", "urinary antibacterial", "oral", "capsule"),
    ("omeprazole", "proton pump inhibitor", "oral", "capsule"),
    ("pravastatin", "statin", "oral", "tablet"),
    ("ramipril", "ACE inhibitor", "oral", "capsule"),
    ("sertraline", "SSRI", "oral", "tablet"),
    ("tamsulosin", "alpha blocker", "oral", "capsule"),
    ("valsartan", "angiotensin receptor blocker", "oral", "tablet"),
    ("zolmitriptan", "triptan", "oral", "tablet"),
];

/// Code and name of the departments that see patients.
pub(super) const DEPARTMENTS: [(&str, &str); 8] = [
    ("MED", "Internal medicine"),
    ("CAR", "Cardiology"),
    ("DER", "Dermatology"),
    ("ORT", "Orthopaedics"),
    ("NEU", "Neurology"),
    ("PED", "Paediatrics"),
    ("PUL", "Pulmonology"),
    ("URO", "Urology"),
];

/// The tests that are ordered together: the LOINC code in `catalogue/lab-tests.json`, and between which hundredths of
/// the test's unit the values lie: mostly normal ones, never critical ones.
pub(super) const TESTS: [(&str, i64, i64); 5] = [
    ("2339-0", 6_500, 12_500),
    ("38483-4", 55, 135),
    ("2947-0", 13_300, 14_700),
    ("6298-4", 340, 540),
    ("718-7", 1_180, 1_720),
];
